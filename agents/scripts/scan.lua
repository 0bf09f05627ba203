-- Reads whole pending buckets from one on, until there are enough entries.
-- KEYS: start of the bucket keys. ARGV: first bucket, buckets, most buckets, enough entries.
-- Returns {next bucket, hash, value, hash, value, ...}.
local bucket, last = tonumber(ARGV[1]), tonumber(ARGV[2])
local stop, enough = math.min(last, bucket + tonumber(ARGV[3])), 2 * tonumber(ARGV[4])
local found = {0}
while bucket < stop and #found < enough do
  local entries = redis.call('HGETALL', KEYS[1] .. bucket)
  for i = 1, #entries do found[#found + 1] = entries[i] end
  bucket = bucket + 1
end
found[1] = bucket
return found
