#!lua flags=allow-oom
-- listen: park a frame until an event comes to one of its indexes, or a timer is due. Refused when an event came that the frame has not looked at.
-- KEYS ns, run, fence, frame, results, log
-- ARGV epoch, sequence, cursor, cost, tokens in, tokens out, calls, journal line, rid, path, worker, actor, lane path ('' if the frame has its own claim), due (0 for none), indexes, (index without the namespace, number of the newest event looked at)*, records, (path, record)*
-- Returns now | "more" | "fenced" | "gone"
local run, frame, rid, path = KEYS[2], KEYS[4], ARGV[9], ARGV[10]
local refused, sequence, called = refuse(run, KEYS[3], ARGV[1], frame)
if refused then return refused end
local at = now()
if tonumber(sequence or '0') >= tonumber(ARGV[2]) then return at end
local last = 15 + 2 * tonumber(ARGV[15])
local names = {}
for i = 16, last, 2 do
  local newest = redis.call('ZRANGE', P .. ':' .. ARGV[i], -1, -1)[1]
  if newest and tonumber(string.sub(newest, 1, 16)) > tonumber(ARGV[i + 1]) then return 'more' end
  names[#names + 1] = ARGV[i]
end
if called then runs().moved_on(run, frame, at) end
write_records(KEYS[5], last + 2, #ARGV)
redis.call('HSET', frame, 'q', ARGV[2], 'c', ARGV[3], 't', at, 'd', 0, 'm', '')
use(run, 4)
if ARGV[8] ~= '' then redis.call('RPUSH', KEYS[6], ARGV[8]) end
leave(run, KEYS[3], rid, path, ARGV[11], ARGV[12], ARGV[13])
redis.call('HSET', frame, 'W', table.concat(names, '\n'))
for _, name in ipairs(names) do redis.call('SADD', P .. ':' .. name .. ':waiting', rid .. '|' .. path) end
if ARGV[14] ~= '0' then redis.call('ZADD', P .. ':timers', ARGV[14], rid .. '|' .. path) end
return at
