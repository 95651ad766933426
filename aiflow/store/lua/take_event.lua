#!lua flags=allow-oom
-- take_event: an event belongs to the first wait of a run that takes it.
-- KEYS ns, run, fence
-- ARGV epoch, event id, path of the wait
-- Returns "taken" | path of the wait that has it | "fenced" | "gone"
local run = KEYS[2]
local refused = refuse(run, KEYS[3], ARGV[1])
if refused then return refused end
local taken = run .. ':taken'
if redis.call('HSETNX', taken, ARGV[2], ARGV[3]) == 1 then
  redis.call('SADD', run .. ':keys', taken)
  return 'taken'
end
local owner = redis.call('HGET', taken, ARGV[2])
return owner == ARGV[3] and 'taken' or owner
