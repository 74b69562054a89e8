-- Delete some tokens that have expired.
delete from backends_token where id in (
    select id from backends_token where expires_at < now() - %(margin)s::interval limit %(at_most)s::bigint
)
