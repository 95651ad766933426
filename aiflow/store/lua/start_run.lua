#!lua
-- start_run: make a run and the message that starts it, or have it wait in its gate or for its turn.
-- KEYS ns, run, plan
-- ARGV rid, plan ('' if it should be there), workflow, version, inputs, meta, environment, gate ('' for none), limit, overflow, why it may be
--      turned away, throttle ('' for none), retention ms (of a run that is turned away), has a `finally` (1/0)
-- Returns {"ok", now} | {"exists"} | {"noplan"}
local rid = ARGV[1]
if redis.call('EXISTS', KEYS[2]) == 1 then return { 'exists' } end
if redis.call('EXISTS', KEYS[3]) == 0 then
  if ARGV[2] == '' then return { 'noplan' } end
  redis.call('SET', KEYS[3], ARGV[2])
end
local at = now()
make_run(KEYS[2], rid, 3, nil, at)
return { 'ok', at }
