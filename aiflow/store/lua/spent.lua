#!lua flags=allow-oom
-- spent: what runs have cost so far.
-- KEYS ns          ARGV rid*
-- Returns dollars (text) for each, '0' for one that is not there
local out = {}
for i, rid in ipairs(ARGV) do out[i] = redis.call('HGET', P .. ':run:{' .. rid .. '}', 'cost') or '0' end
return out
