#!lua flags=allow-oom
-- finish_item: the last checkpoint of an item that had left its lane.
-- KEYS ns, run, frame, results
-- ARGV epoch, rid, path, worker, cost, tokens in, tokens out, calls, failed (1/0), sequence, cursor, fan-outs it has moved past, (path, lanes)*, records, (path, record)*
-- Returns now | "fenced" | "gone"
local run, frame = KEYS[2], KEYS[3]
local refused, sequence, called = refuse(run, frame, ARGV[1], frame)
if refused then return refused end
local at = now()
if tonumber(sequence or '0') >= tonumber(ARGV[10]) then return at end
if called then runs().moved_on(run, frame, at) end
local fans = 12 + 2 * tonumber(ARGV[12])
write_records(KEYS[4], fans + 2, #ARGV)
use(run, 5)
redis.call('HSET', frame, 'q', ARGV[10], 'c', ARGV[11])
rest(run, ARGV[2], ARGV[3], ARGV[4])
item_left(run, ARGV[2], ARGV[3], ARGV[9] == '1', at)
if ARGV[9] ~= '1' then
  for i = 13, fans, 2 do remove_fan(run, ARGV[2], ARGV[i], ARGV[i + 1]) end
  redis.call('UNLINK', frame)
  redis.call('SREM', run .. ':keys', frame)
end
return at
