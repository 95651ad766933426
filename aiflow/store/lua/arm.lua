#!lua flags=allow-oom
-- arm: make the frame that looks for the events which cancel a run; once.
-- KEYS ns, run
-- ARGV epoch of the root, rid, path of the frame
-- Returns now | "fenced" | "gone"
local run = KEYS[2]
local refused = refuse(run, run, ARGV[1])
if refused then return refused end
local at = now()
if redis.call('HSETNX', run, 'ca', 1) == 1 then
  redis.call('HSET', frame_key(run, ARGV[3]), 'd', 0)
  redis.call('SADD', run .. ':keys', frame_key(run, ARGV[3]))
  wake(run, ARGV[2], ARGV[3], at)
end
return at
