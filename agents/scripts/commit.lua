-- The one moment at which a checkpoint happens: all of it or nothing.
-- KEYS: meta, staged, redo chunks, outbox bodies, outbox.
-- ARGV: owner, seq before, seq, id, next or '', topic id or '', redo chunks, then the messages in each body.
-- Returns {'ok' | 'already' | 'epoch' | 'seq' | 'redo' | 'incomplete', tail of the outbox}.
local m = redis.call('HMGET', KEYS[1], 'owner', 'seq', 'last', 'redo', 'tail')
local tail = tonumber(m[5] or '0')
if m[1] ~= ARGV[1] then return {'epoch', tail} end
if m[3] == ARGV[4] then return {'already', tail} end
if (m[2] or '0') ~= ARGV[2] then return {'seq', tail} end
if m[4] then return {'redo', tail} end
if redis.call('HLEN', KEYS[3]) ~= tonumber(ARGV[7])
  or redis.call('HLEN', KEYS[4]) ~= #ARGV - 7 then
  return {'incomplete', tail}
end
redis.call('HSET', KEYS[1], 'seq', ARGV[3], 'last', ARGV[4])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'topic_id', ARGV[6]) end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'next', ARGV[5]) end
if ARGV[7] ~= '0' then redis.call('HSET', KEYS[1], 'redo', ARGV[4], 'redo_chunks', ARGV[7]) end
for i = 8, #ARGV do
  redis.call('RPUSH', KEYS[5], string.format('%.0f %s %s %d', tail, ARGV[i], ARGV[4], i - 8))
  tail = tail + tonumber(ARGV[i])
end
redis.call('HSET', KEYS[1], 'tail', string.format('%.0f', tail))
redis.call('SREM', KEYS[2], ARGV[4])
return {'ok', tail}
