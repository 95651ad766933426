#!lua flags=allow-oom
-- cache_get: a result that was kept, unless it is too old.
-- KEYS ns, entry   ARGV how old it may be, in ms; not made before (ms UTC)
-- Returns {record, made} | nil
local e = redis.call('HMGET', KEYS[2], 'v', 't')
local made = tonumber(e[2])
if not made or made < tonumber(ARGV[2]) or now() - made > tonumber(ARGV[1]) then return false end
return { e[1], made }
