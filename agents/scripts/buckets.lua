-- Buckets of pending entries, by linear hashing (Litwin 1980): what apply, pending, scan and migrate
-- begin with. Bucket i of n holds the entries whose first four bytes are i modulo 2 * half, or
-- modulo half where that names a bucket that is not there yet; half is the largest power of two
-- that is at most n. So one bucket at a time is split or merged, and n follows the count.
-- The bucket keys are made here: they carry the hash tag of KEYS, so they lie in the same slot.
local Buckets = {}
Buckets.__index = Buckets

local function halved(n)
  local half = 1
  while half * 2 <= n do half = half * 2 end
  return half
end

local function buckets(meta, start)
  local n = tonumber(redis.call('HGET', meta, 'spread') or '1')
  return setmetatable({meta = meta, start = start, n = n, half = halved(n)}, Buckets)
end

local byte = string.byte

function Buckets:place(hash)
  local a, b, c, d = byte(hash, 1, 4)
  local at = (((a * 256 + b) * 256 + c) * 256 + d) % (2 * self.half)
  if at >= self.n then at = at - self.half end
  return at
end

function Buckets:key(hash) return self.start .. self:place(hash) end

-- Fields and values, alternating, into one bucket; Lua's stack takes 8,000 at once.
function Buckets:put(at, entries)
  for i = 1, #entries, 1000 do
    redis.call('HSET', self.start .. at, unpack(entries, i, math.min(i + 999, #entries)))
  end
end

function Buckets:resize(n)
  self.n, self.half = n, halved(n)
  redis.call('HSET', self.meta, 'spread', n)
end

-- One bucket more: that of which it is the other half is written anew, so it is packed again.
function Buckets:split()
  local from, to = self.n - self.half, self.n
  local entries = redis.call('HGETALL', self.start .. from)
  self:resize(to + 1)
  local stay, go, kept, gone = {}, {}, 0, 0
  for i = 1, #entries, 2 do
    local hash = entries[i]
    if self:place(hash) == to then
      go[gone + 1], go[gone + 2], gone = hash, entries[i + 1], gone + 2
    else
      stay[kept + 1], stay[kept + 2], kept = hash, entries[i + 1], kept + 2
    end
  end
  if gone == 0 then return end
  redis.call('DEL', self.start .. from)
  self:put(from, stay)
  self:put(to, go)
end

-- One bucket less.
function Buckets:merge()
  local last = self.n - 1
  local entries = redis.call('HGETALL', self.start .. last)
  self:resize(last)
  if #entries == 0 then return end
  redis.call('DEL', self.start .. last)
  self:put(self:place(entries[1]), entries)
end

-- A few steps towards `fill` entries a bucket: splits above it, merges under half of it.
function Buckets:follow(count, fill, steps)
  for _ = 1, steps do
    if count > self.n * fill then self:split()
    elseif self.n > 1 and count * 2 < self.n * fill then self:merge()
    else return end
  end
end
