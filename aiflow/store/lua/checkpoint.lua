#!lua flags=allow-oom
-- checkpoint: make results durable and move a frame on.
-- KEYS ns, run, fence, frame, results, log
-- ARGV epoch, sequence, cursor, cost, tokens in, tokens out, calls, journal line ('' for none), mark ('' for none), records, (path, record)*
-- `fence` is the frame itself, or the lane that works through it. A sequence seen before was applied: nothing is written again.
-- Returns now (ms) | "fenced" | "gone" | "called" (nothing was written: send it as `checkpoint+`) | "given up" (it is written, and the
-- fan-out that the frame is an item of was stopped: no further effect)
local refused, sequence, called = refuse(KEYS[2], KEYS[3], ARGV[1], KEYS[4])
if refused then return refused end
local at = now()
if tonumber(sequence or '0') >= tonumber(ARGV[2]) then return at end
if called then
  if not runs then return 'called' end
  runs().moved_on(KEYS[2], KEYS[4], at)
end
write_records(KEYS[5], 11, #ARGV)
redis.call('HSET', KEYS[4], 'q', ARGV[2], 'c', ARGV[3], 't', at, 'd', 0, 'm', ARGV[9])
if KEYS[4] ~= KEYS[3] then redis.call('SADD', KEYS[2] .. ':keys', KEYS[4]) end
use(KEYS[2], 4)
if ARGV[8] ~= '' then redis.call('RPUSH', KEYS[6], ARGV[8]) end
local fan = KEYS[4] ~= KEYS[2] and string.match(frame_path(KEYS[2], KEYS[4]), '^(.*)%[%d+%]$')
if fan and redis.call('HGET', KEYS[2] .. ':e:' .. fan, 's') == '1' then return 'given up' end
return at
