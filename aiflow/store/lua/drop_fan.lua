#!lua flags=allow-oom
-- drop_fan: remove a fan-out that its frame has moved past.
-- KEYS ns, run, fence, fan
-- ARGV epoch, rid, fan path, lanes
-- Returns now | "fenced" | "gone"
local run, fan = KEYS[2], KEYS[4]
local refused = refuse(run, KEYS[3], ARGV[1])
if refused then return refused end
local names = { fan, fan .. ':idle', fan .. ':again' }
for lane = 0, tonumber(ARGV[4]) - 1 do
  void(run, ARGV[2], ARGV[3] .. '#' .. lane)
  names[#names + 1] = frame_key(run, ARGV[3] .. '#' .. lane)
end
redis.call('UNLINK', unpack(names))
redis.call('SREM', run .. ':keys', unpack(names))
return now()
