#!lua flags=allow-oom
-- drop_fan: remove a fan-out that its frame has moved past.
-- KEYS ns, run, fence
-- ARGV epoch, rid, fan path, lanes
-- Returns now | "fenced" | "gone"
local run = KEYS[2]
local refused = refuse(run, KEYS[3], ARGV[1])
if refused then return refused end
remove_fan(run, ARGV[2], ARGV[3], ARGV[4])
return now()
