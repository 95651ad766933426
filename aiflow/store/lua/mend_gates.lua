#!lua flags=allow-oom
-- mend_gates: look at gates in which runs wait: a place that is held by a run that is no more (its keys were deleted) is free.
-- KEYS ns          ARGV batch
-- Returns how many gates were looked at
local names = redis.call('SRANDMEMBER', P .. ':crowded', ARGV[1])
if #names > 0 then
  local life, at = runs(), now()
  for _, name in ipairs(names) do life.mend_gate(name, at) end
end
return #names
