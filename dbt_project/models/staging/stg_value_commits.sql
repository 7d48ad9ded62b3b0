with

source as (
    select * from {{ source('value', 'commit') }}
    where {{ is_read() }}
),

-- jsonb knows less than JSON: a document with \u0000, or nested too deeply, is one without fields
parsed as (
    select
        source.*,
        case when pg_input_is_valid(source.document, 'jsonb') then cast(source.document as jsonb) end as fields
    from source
),

dated as (
    select
        parsed.*,
        coalesce(
            parsed.fields ->> 'start',
            nullif(parsed.fields -> 'model' -> 'axis' ->> 'start', 'commit.start')
        ) as start_text
    from parsed
),

renamed as (
    select
        ---------- ids
        tenant_id,
        commit_id,
        parent as parent_commit_id,
        ---------- text
        model as model_key,
        fields ->> 'customer' as customer_key,
        fields ->> 'scenario' as scenario,
        author,
        fields -> 'model' ->> 'currency' as currency,
        ---------- times
        case when pg_input_is_valid(start_text, 'date') then cast(start_text as date) end as starts_on,
        committed_at
    from dated
)

select * from renamed
