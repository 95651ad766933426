#!lua
-- cache_put: keep a result. A newer one takes the place of an older one, and stays as long as either would have.
-- KEYS ns, entry   ARGV record, how long it is kept, in ms
-- Returns now
local at = now()
local keep = math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[2]))
redis.call('HSET', KEYS[2], 'v', ARGV[1], 't', at)
redis.call('PEXPIRE', KEYS[2], text(keep))
return at
