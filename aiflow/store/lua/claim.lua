#!lua flags=allow-oom
-- claim: take a frame out of `ready`. The only door for first run, retry, recovery and hand-over.
-- KEYS ns, run, frame
-- ARGV rid, path, worker, operation (the same again when the reply was lost)
-- Returns {"ok", now, epoch, cursor, t, deaths, mark, workflow, version, inputs, begun (created, or let in by its gate), generation, cost, meta, environment, sequence, created, since when its `timeout` counts (begun, or let in again after a retry)} | {"gone"} | {"busy"} | {"unknown"} (the worker's lease was ended)
local run, frame, rid, path, worker = KEYS[2], KEYS[3], ARGV[1], ARGV[2], ARGV[3]
local name = rid .. '|' .. path
if not redis.call('ZSCORE', P .. ':workers', worker) then return { 'unknown' } end
local owner = redis.call('HMGET', frame, 'w', 'o', 'e')
local mine = owner[1] == worker and owner[2] == ARGV[4]
if not mine and not redis.call('ZSCORE', P .. ':ready', name) then return { 'busy' } end
local r = redis.call('HMGET', run, 'st', 'wf', 'v', 'in', 't0', 'g', 'cost', 'meta', 'E0', 'ta', 'ra')
local gone = not is_open(r[1])
if not gone and path ~= '' then
  local epath = string.match(path, '^(.*)%[%d+%]$') or string.match(path, '^(.*)#%d+$')
  if epath and (redis.call('HGET', run .. ':e:' .. epath, 's') or '1') == '1' then gone = true end
end
redis.call('ZREM', P .. ':ready', name)
if gone then
  if mine then rest(run, rid, path, worker) elseif is_open(r[1]) then less(run) end
  return { 'gone' }
end
local at = now()
local begun = r[10] or r[5]
-- Epochs are counted per run: a frame that was removed and made anew never gets one that was handed out before.
local epoch = mine and owner[3] or text(redis.call('HINCRBY', run, 'ec', 1))
redis.call('HSET', frame, 'w', worker, 'o', ARGV[4], 'e', epoch)
redis.call('SADD', P .. ':worker:' .. worker, name)
-- After two deaths it may be the frame that kills: it works alone in its process, and waits for that; see `begin` and `reap`.
if tonumber(redis.call('HGET', frame, 'd') or '0') >= 2 then redis.call('HSET', frame, 'z', 1) end
if r[1] == 'queued' then redis.call('HSET', run, 'st', 'running', 't1', at)
elseif r[1] == 'waiting' then redis.call('HSET', run, 'st', 'running') end
local f = redis.call('HMGET', frame, 'c', 't', 'd', 'm', 'q', 'W')
if f[6] then not_waiting(frame, name, f[6]) end
return { 'ok', at, epoch, f[1] or '', f[2] or begun, f[3] or '0', f[4] or '', r[2], r[3], r[4], begun, r[6] or '0', r[7] or '0', r[8] or '', r[9] or '', f[5] or '0', r[5], r[11] or begun }
