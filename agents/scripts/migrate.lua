-- Takes over buckets whose number was fixed, chosen by the first bits of the hash: one of them.
-- What was taken over is gone from there, so doing it again, or going on after a crash, is harmless.
-- KEYS: meta, start of the bucket keys, start of the old ones.
-- ARGV: the old bucket, entries a bucket. Returns the next old bucket, 0 at the end.
local m = redis.call('HMGET', KEYS[1], 'buckets', 'spread', 'pending')
if not m[1] then return 0 end
local known, old = buckets(KEYS[1], KEYS[2]), tonumber(m[1])
if not m[2] then known:resize(math.max(1, math.ceil(tonumber(m[3] or '0') / tonumber(ARGV[2])))) end
local entries = redis.call('HGETALL', KEYS[3] .. ARGV[1])
for i = 1, #entries, 2 do
  redis.call('HSET', known:key(entries[i]), entries[i], entries[i + 1])
end
redis.call('DEL', KEYS[3] .. ARGV[1])
local after = tonumber(ARGV[1]) + 1
if after < old then return after end
redis.call('HDEL', KEYS[1], 'buckets')
return 0
