-- Ends a redo record of which every chunk was applied.
-- KEYS: meta, redo chunks, staged. ARGV: id, most orphans to name.
-- Returns {'ok' | 'past' | 'unapplied', pending, staged ids that will never be committed}.
local m = redis.call('HMGET', KEYS[1], 'redo', 'pending')
local pending = tonumber(m[2] or '0')
if m[1] ~= ARGV[1] then return {'past', pending, {}} end
if redis.call('HLEN', KEYS[2]) > 0 then return {'unapplied', pending, {}} end
redis.call('HDEL', KEYS[1], 'redo', 'redo_chunks')
return {'ok', pending, redis.call('SRANDMEMBER', KEYS[3], ARGV[2])}
