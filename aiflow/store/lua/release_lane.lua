#!lua flags=allow-oom
-- release_lane: hand a lane on (shutdown); what it has claimed and not finished stays with it.
-- KEYS ns, run, lane
-- ARGV epoch, rid, lane path, worker
-- Returns now | "fenced" | "gone"
local refused = refuse(KEYS[2], KEYS[3], ARGV[1])
if refused then return refused end
rest(KEYS[2], ARGV[2], ARGV[3], ARGV[4])
local at = now()
wake(KEYS[2], ARGV[2], ARGV[3], at)
return at
