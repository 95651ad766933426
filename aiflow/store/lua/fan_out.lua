#!lua flags=allow-oom
-- fan_out: checkpoint a frame at its `each`, let go of it, and make the lanes that work through the items.
-- The pages of items were written into the fan-out's hash before. When the fan-out exists from an earlier generation
-- (retry of a failed run), the items in `:again` and those never handed out are done.
-- KEYS ns, run, fence, frame, results, fan
-- ARGV epoch, sequence, cursor, cost, tokens in, tokens out, calls, rid, path, worker, actor, lane path, fan path, total, next, finished, allowed, concurrency, lanes, page size, generation, lane actor, deadline (ms, 0 for none: the frame is woken then), scope (what items see of it, JSON or ''), first success decides (1/0), paths of the records of branches ('' for items, else each with a line break behind), records, (path, record)*
-- Returns now | "fenced" | "gone"
local run, frame, fan, rid, path = KEYS[2], KEYS[4], KEYS[6], ARGV[8], ARGV[9]
local refused, sequence, called = refuse(run, KEYS[3], ARGV[1], frame)
if refused then return refused end
local at = now()
if tonumber(sequence or '0') >= tonumber(ARGV[2]) then return at end
if called then runs().moved_on(run, frame, at) end
write_records(KEYS[5], 28, #ARGV)
redis.call('HSET', frame, 'q', ARGV[2], 'c', ARGV[3], 't', at, 'd', 0, 'm', '')
use(run, 4)
leave(run, KEYS[3], rid, path, ARGV[10], ARGV[11], ARGV[12])
-- It may have been here before: its lanes of that time are void, and if it begins anew, so are its items, and what they recorded
-- (that of items goes when they are handed out).
local lanes_before = redis.call('HGET', fan, 'L')
if lanes_before then
  for lane = 0, tonumber(lanes_before) - 1 do
    void(run, rid, ARGV[13] .. '#' .. lane)
    redis.call('UNLINK', frame_key(run, ARGV[13] .. '#' .. lane))
  end
end
if ARGV[15] == '0' and ARGV[16] == '0' then
  local before = lanes_before or redis.call('HEXISTS', KEYS[5], ARGV[13]) == 1
  for record in string.gmatch(ARGV[26], '[^\n]+') do before = redis.call('HDEL', KEYS[5], record) == 1 or before end
  if before then
    sweep_inside(run, rid, fan)
    redis.call('HSET', fan, 'F', 1)
    redis.call('HDEL', fan, 't')
  end
end
redis.call('HSETNX', fan, 't', at)
redis.call('HSET', fan, 'n', ARGV[14], 'x', ARGV[15], 'r', 0, 'k', ARGV[16], 'b', 0, 'a', ARGV[17], 'c', ARGV[18], 's', 0,
  'L', ARGV[19], 'z', ARGV[20], 'g', ARGV[21], 'P', path, 'Q', ARGV[2], 'S', ARGV[24])
if ARGV[25] == '1' then redis.call('HSET', fan, 'J', 1) end
if ARGV[23] ~= '0' then redis.call('ZADD', P .. ':timers', ARGV[23], rid .. '|' .. path) end
redis.call('DEL', fan .. ':idle')
redis.call('SADD', run .. ':keys', fan, fan .. ':idle', fan .. ':again')
for lane = 0, tonumber(ARGV[19]) - 1 do
  local lane_path = ARGV[13] .. '#' .. lane
  local key = frame_key(run, lane_path)
  redis.call('HSET', key, 'A', ARGV[22], 'd', 0)
  redis.call('SADD', run .. ':keys', key)
  wake(run, rid, lane_path, at)
end
return at
