#!lua flags=allow-oom
-- renew: a worker is alive.
-- KEYS ns          ARGV worker, lease ms
-- Returns now, or 0 when its lease was ended and its frames were given away
local at = now()
if not redis.call('ZSCORE', P .. ':workers', ARGV[1]) then return 0 end
redis.call('ZADD', P .. ':workers', at + ARGV[2], ARGV[1])
return at
