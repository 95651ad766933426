#!lua
-- retry_run: open a failed or cancelled run again, at the step where it stopped. It passes its gate, and waits there if it must.
-- KEYS ns, run
-- ARGV rid, journal line
-- Returns "accepted" | "missing" | the status it has
local st = redis.call('HGET', KEYS[2], 'st')
if not st then return 'missing' end
if st ~= 'failed' and st ~= 'cancelled' then return st end
runs().retry(KEYS[2], ARGV[1], ARGV[2], now())
return 'accepted'
