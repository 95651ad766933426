#!lua
-- start_run: make a run and the message that starts it.
-- KEYS ns, run, plan
-- ARGV rid, workflow, version, inputs, meta, environment, plan ('' if it should be there)
-- Returns {"ok", now} | {"exists"} | {"noplan"}
local rid = ARGV[1]
if redis.call('EXISTS', KEYS[2]) == 1 then return { 'exists' } end
if redis.call('EXISTS', KEYS[3]) == 0 then
  if ARGV[7] == '' then return { 'noplan' } end
  redis.call('SET', KEYS[3], ARGV[7])
end
local at = now()
redis.call('HSET', KEYS[2], 'st', 'queued', 'wf', ARGV[2], 'v', ARGV[3], 'in', ARGV[4], 't0', at, 'n', 0)
if ARGV[5] ~= '' then redis.call('HSET', KEYS[2], 'meta', ARGV[5]) end
if ARGV[6] ~= '' then redis.call('HSET', KEYS[2], 'E0', ARGV[6]) end
redis.call('ZADD', P .. ':open', at, rid)
redis.call('ZADD', P .. ':runs', at, rid)
wake(KEYS[2], rid, '', at)
return { 'ok', at }
