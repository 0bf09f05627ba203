-- Reads the id hashes of whole pending buckets, upwards, until there are enough of them.
-- KEYS: meta, start of the bucket keys. ARGV: first bucket, most buckets, enough ids, owner.
-- Returns {next bucket, buckets, hashes of 8 bytes each}; nothing where another owns the partition.
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[4] then return false end
local known, at = buckets(KEYS[1], KEYS[2]), tonumber(ARGV[1])
local stop, left, found = math.min(known.n, at + tonumber(ARGV[2])), tonumber(ARGV[3]), {}
while at < stop and left > 0 do
  local ids = redis.call('HKEYS', KEYS[2] .. at)
  found[#found + 1], left, at = table.concat(ids), left - #ids, at + 1
end
return {at, known.n, table.concat(found)}
