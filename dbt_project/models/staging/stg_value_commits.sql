with

source as (
    select * from {{ source('value', 'commit') }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        commit_id,
        parent as parent_commit_id,
        ---------- text
        model as model_key,
        document::jsonb ->> 'customer' as customer_key,
        document::jsonb ->> 'scenario' as scenario,
        author,
        document::jsonb -> 'model' ->> 'currency' as currency,
        ---------- times
        cast(
            coalesce(
                document::jsonb ->> 'start',
                nullif(document::jsonb -> 'model' -> 'axis' ->> 'start', 'commit.start')
            ) as date
        ) as starts_on,
        committed_at
    from source
)

select * from renamed
