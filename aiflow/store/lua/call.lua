#!lua flags=allow-oom
-- call: checkpoint a frame at its `call` and let go of it until the run that it calls ends; make that run in the same moment.
-- KEYS ns, run, fence, frame, results, log, called run, its plan
-- ARGV epoch, sequence, cursor, cost, tokens in, tokens out, calls, journal line ('' for none), rid, path, worker, actor, lane path ('' if the
--      frame has its own claim), due (ms, 0 for none: the frame is woken then, ended or not), how, id of the called run, line for its journal,
--      plan ('' if it should be there), workflow, version, inputs, meta, environment, gate, limit, overflow, why it may be turned away,
--      throttle, retention ms, has a `finally` (1/0), records, (path, record)*
-- How: "start" makes the run; "again" opens it again if it failed or was cancelled (with `meta`); "wait" only waits for it; "detach" makes
--      it a run of its own, and the frame keeps its claim.
-- Returns now | "fenced" | "gone" | "noplan"
-- Invariant: a frame with `k` waits for that run, or looks at it just now; the next write of the frame that is no `call` gives it up.
local run, frame, rid, path = KEYS[2], KEYS[4], ARGV[9], ARGV[10]
local refused, sequence, before = refuse(run, KEYS[3], ARGV[1], frame)
if refused then return refused end
for stop in string.gmatch(path, '()%[%d+%]') do  -- an item of a fan-out that was given up calls nothing any more
  if redis.call('HGET', run .. ':e:' .. string.sub(path, 1, stop - 1), 's') == '1' then return 'gone' end
end
local at = now()
if tonumber(sequence or '0') >= tonumber(ARGV[2]) then return at end
local how, child = ARGV[15], ARGV[16]
if (how == 'start' or how == 'detach') and redis.call('EXISTS', KEYS[8]) == 0 then
  if ARGV[18] == '' then return 'noplan' end
  redis.call('SET', KEYS[8], ARGV[18])
end
write_records(KEYS[5], 32, #ARGV)
redis.call('HSET', frame, 'q', ARGV[2], 'c', ARGV[3], 't', at, 'd', 0, 'm', '')
use(run, 4)
if ARGV[8] ~= '' then redis.call('RPUSH', KEYS[6], ARGV[8]) end
local life = runs()
if before and before ~= child then life.hang_up(run, rid, path, at) end
if how == 'detach' then
  if frame ~= KEYS[3] then redis.call('SADD', run .. ':keys', frame) end
  make_run(KEYS[7], child, 19, nil, at)
  return at
end
redis.call('HSET', frame, 'k', child)
redis.call('SADD', run .. ':kids', path)
redis.call('HSET', run, 'L', 1)
leave(run, KEYS[3], rid, path, ARGV[11], ARGV[12], ARGV[13])
if ARGV[14] ~= '0' then redis.call('ZADD', P .. ':timers', ARGV[14], rid .. '|' .. path) end
local st = redis.call('HGET', KEYS[7], 'st')
if how == 'start' then
  make_run(KEYS[7], child, 19, rid .. '|' .. path, at)
elseif how == 'again' and (st == 'failed' or st == 'cancelled') then
  redis.call('HSET', KEYS[7], 'meta', ARGV[22])
  life.retry(KEYS[7], child, ARGV[17], at)
end
if not is_open(redis.call('HGET', KEYS[7], 'st')) then wake(run, rid, path, at) end
return at
