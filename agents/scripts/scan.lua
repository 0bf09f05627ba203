-- Reads whole pending buckets from one on, until there are enough entries.
-- KEYS: start of the bucket keys. ARGV: first bucket, buckets, most buckets, enough entries.
-- Returns {next bucket, one string of hash (8 bytes), length (4 bytes) and value of each entry}.
local bucket, last = tonumber(ARGV[1]), tonumber(ARGV[2])
local stop, enough = math.min(last, bucket + tonumber(ARGV[3])), tonumber(ARGV[4])
local found = {}
while bucket < stop and #found < enough do
  local entries = redis.call('HGETALL', KEYS[1] .. bucket)
  for i = 1, #entries, 2 do
    local value = entries[i + 1]
    found[#found + 1] = entries[i] .. struct.pack('>I4', #value) .. value
  end
  bucket = bucket + 1
end
return {bucket, table.concat(found)}
