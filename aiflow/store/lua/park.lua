#!lua flags=allow-oom
-- park: checkpoint a frame and let go of it until a timer is due. An item leaves its lane and keeps its place.
-- KEYS ns, run, fence, frame, results, log
-- ARGV epoch, sequence, cursor, cost, tokens in, tokens out, calls, journal line, rid, path, worker, actor, lane path ('' if the frame has its own claim), due, records, (path, record)*
-- Due: ms of Redis's time; 0 = at once (the frame is handed on: shutdown).
-- Returns now | "fenced" | "gone"
local run, frame, rid, path = KEYS[2], KEYS[4], ARGV[9], ARGV[10]
local refused, sequence, called = refuse(run, KEYS[3], ARGV[1], frame)
if refused then return refused end
local at = now()
if tonumber(sequence or '0') >= tonumber(ARGV[2]) then return at end
if called then runs().moved_on(run, frame, at) end
write_records(KEYS[5], 16, #ARGV)
redis.call('HSET', frame, 'q', ARGV[2], 'c', ARGV[3], 't', at, 'd', 0, 'm', '')
use(run, 4)
if ARGV[8] ~= '' then redis.call('RPUSH', KEYS[6], ARGV[8]) end
leave(run, KEYS[3], rid, path, ARGV[11], ARGV[12], ARGV[13])
if ARGV[14] == '0' then wake(run, rid, path, at)
else redis.call('ZADD', P .. ':timers', ARGV[14], rid .. '|' .. path) end
return at
