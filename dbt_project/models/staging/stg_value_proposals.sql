with

source as (
    select * from {{ source('value', 'proposal') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        proposal as proposal_key,
        commit_id,
        run_hash,
        subscription as subscription_key,
        ---------- text
        model as model_key,
        customer as customer_key,
        charge as charge_key,
        binding as bound_by,
        currency,
        ---------- numerics
        realised_value,
        fee_to_date,
        amount,
        ---------- times
        period_from,
        period_to,
        proposed_at,
        disputable_until
    from source
)

select * from renamed
