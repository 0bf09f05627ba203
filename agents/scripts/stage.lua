-- Keeps one chunk of a checkpoint that is not committed yet. Staging it twice is harmless.
-- KEYS: meta, staged, the hash of chunks. ARGV: owner, seq before, id, number of the chunk, chunk.
local m = redis.call('HMGET', KEYS[1], 'owner', 'seq', 'last')
if m[1] ~= ARGV[1] then return 'epoch' end
if m[3] == ARGV[3] then return 'already' end
if (m[2] or '0') ~= ARGV[2] then return 'seq' end
redis.call('SADD', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[4], ARGV[5])
return 'ok'
