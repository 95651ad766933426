#!lua flags=allow-oom
-- cancel_run: end a run, wherever it is, and the runs that it called.
-- KEYS ns, run
-- ARGV rid, reason, retention ms
-- Returns "accepted" | "missing" | the status it already has
local st = redis.call('HGET', KEYS[2], 'st')
if not st then return 'missing' end
if not is_open(st) then return st end
runs().cancel(KEYS[2], ARGV[1], ARGV[2], now(), ARGV[3])
return 'accepted'
