-- Delete some keys that nobody has held for long. The next holder's fencing token is then the database's milliseconds,
-- so a key goes only when these are beyond its last token.
delete from backends_backendkey where id in (
    select id from backends_backendkey
    where backend_id is null and expires_at < now() - %(min_age)s::interval
      and fencing_token < floor(extract(epoch from now()) * 1000)
    limit %(at_most)s::bigint
    for update skip locked
)
