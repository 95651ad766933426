#!lua flags=allow-oom
-- stop_fan: let nothing new begin in a fan-out that its frame has given up; nor in those that stand in it; what is under way in
-- branches is cancelled, and runs that its items called are.
-- KEYS ns, run, fence, fan
-- ARGV epoch, rid
-- Returns now | "fenced" | "gone"
local run = KEYS[2]
local refused = refuse(run, KEYS[3], ARGV[1])
if refused then return refused end
local at = now()
if redis.call('EXISTS', KEYS[4]) == 1 and redis.call('HGET', KEYS[4], 's') ~= '1' then
  redis.call('HSET', KEYS[4], 's', 1)
  stop_inside(run, KEYS[4])
  cancel_branches(run, ARGV[2], KEYS[4], '', at)
  runs().give_up_items(run, ARGV[2], KEYS[4], at)
end
return at
