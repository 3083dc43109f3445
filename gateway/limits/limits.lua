#!lua name=locus_limits_3
-- What `gateway.limits.exchange` does, in the server, so that it is atomic for several processes. Each function name carries a
-- version: gateways of two versions may use one server. Money is a whole number below 2^53, so that doubles are exact; it is
-- passed as text, because cjson would round it.
local LEASE_S, SHARES, SOON_S, MINUTE_S = 60, 4, 1, 60
local BIG, TOMB_S, AFTER_S = 2 ^ 62, 86400, 40 * 86400

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function text(number) return string.format('%.0f', number) end

local function share(number) return math.floor(number) end

-- Rows

local function window_of(tag, name)
  local row = redis.call('HMGET', tag .. ':window:' .. name, 'spent', 'expected', 'worst', 'leases')
  if not row[1] then return nil end
  return { name = name, spent = tonumber(row[1]), expected = tonumber(row[2]), worst = tonumber(row[3]), leases = tonumber(row[4]) }
end

local function save_window(tag, window)
  redis.call('HSET', tag .. ':window:' .. window.name, 'spent', text(window.spent), 'expected', text(window.expected),
    'worst', text(window.worst), 'leases', text(window.leases))
end

local function lease_of(tag, id)
  local row = redis.call('HMGET', tag .. ':lease:' .. id, 'spent', 'expected', 'worst', 'places', 'swept', 'estimated',
    'began', 'owner', 'windows', 'parallel', 'stub')
  if not row[1] then return nil end
  return {
    id = id, spent = tonumber(row[1]), expected = tonumber(row[2]), worst = tonumber(row[3]), places = tonumber(row[4]),
    swept = tonumber(row[5]), estimated = tonumber(row[6]), began = tonumber(row[7]), owner = row[8],
    windows = cjson.decode(row[9]), parallel = cjson.decode(row[10]), stub = row[11] == '1'
  }
end

local function save_lease(tag, lease, deadline)
  local key = tag .. ':lease:' .. lease.id
  redis.call('HSET', key, 'spent', text(lease.spent), 'expected', text(lease.expected), 'worst', text(lease.worst),
    'places', text(lease.places), 'swept', text(lease.swept), 'estimated', text(lease.estimated),
    'began', string.format('%.6f', lease.began), 'owner', lease.owner, 'windows', cjson.encode(lease.windows),
    'parallel', cjson.encode(lease.parallel), 'stub', lease.stub and '1' or '0')
  if deadline then
    redis.call('PERSIST', key)
    redis.call('ZADD', tag .. ':deadlines', string.format('%.6f', deadline), lease.id)
  else
    redis.call('EXPIRE', key, TOMB_S)
    redis.call('ZREM', tag .. ':deadlines', lease.id)
  end
end

local function cells_of(tag, count, now)
  local key = tag .. ':' .. count.kind .. ':' .. count.scope
  local row, cells, total, late = redis.call('HGETALL', key), {}, 0, 0
  for i = 1, #row, 2 do
    local second, amount = tonumber(row[i]), tonumber(row[i + 1])
    if count.kind ~= 'parallel' and second < math.floor(now) - MINUTE_S then
      redis.call('HDEL', key, row[i])
    elseif count.kind ~= 'parallel' and second > math.floor(now) then
      -- Charged before the clock went back: counts as of now, and ends in a minute.
      redis.call('HDEL', key, row[i])
      late = late + amount
    else
      cells[#cells + 1] = { second, amount }
      total = total + amount
    end
  end
  if late ~= 0 then
    redis.call('HINCRBY', key, text(math.floor(now)), text(late))
    cells[#cells + 1] = { math.floor(now), late }
    total = total + late
  end
  table.sort(cells, function(a, b) return a[1] < b[1] end)
  return { key = key, kind = count.kind, limit = count.limit, cells = cells, total = total }
end

local function charge(counted, second, amount)
  if amount == 0 then return end
  redis.call('HINCRBY', counted.key, text(second), text(amount))
  counted.total = counted.total + amount
  for _, cell in ipairs(counted.cells) do
    if cell[1] == second then
      cell[2] = cell[2] + amount
      return
    end
  end
  counted.cells[#counted.cells + 1] = { second, amount }
end

local function charge_rate(counted, now, amount)
  if amount > 0 then
    charge(counted, math.floor(now), amount)
  end
  local left = -amount
  for _, cell in ipairs(counted.cells) do
    if left <= 0 then break end
    local taken = math.min(cell[2], left)
    if taken > 0 then
      charge(counted, cell[1], -taken)
      left = left - taken
    end
  end
  redis.call('EXPIRE', counted.key, 2 * MINUTE_S)
end

local function free_at(counted, need, now)
  local excess = counted.total + math.min(need, counted.limit) - counted.limit
  for _, cell in ipairs(counted.cells) do
    if excess <= 0 then break end
    excess = excess - cell[2]
    now = math.max(now, cell[1] + MINUTE_S + 1)
  end
  return now
end

-- Leases

local function deposit(lease, windows, sign)
  for _, window in ipairs(windows) do
    window.expected = window.expected + sign * math.max(0, lease.expected - lease.spent)
    window.worst = window.worst + sign * math.max(0, lease.worst - lease.spent)
  end
end

local function free_places(tag, lease)
  if lease.places ~= 0 then
    for _, scope in ipairs(lease.parallel) do
      redis.call('HINCRBY', tag .. ':parallel:' .. scope, '0', text(-lease.places))
    end
  end
  lease.places = 0
end



local function begin(ask, lease, windows, now)
  local undone, correction, spent = 0, '0', 0
  if lease and lease.stub then
    spent, lease = lease.spent, nil
  end
  if lease then
    undone, correction = lease.swept, text(-lease.estimated)
  else
    lease = { id = ask.lease, spent = spent, expected = spent, worst = spent, places = 0, began = now, owner = ask.owner,
      windows = ask.windows, parallel = ask.parallel }
  end
  lease.swept, lease.estimated, lease.stub = -1, 0, false
  for _, window in ipairs(windows) do
    window.spent = window.spent - undone
    window.leases = window.leases + 1
  end
  return lease, correction
end

local function grant(ask, lease, windows, counts, now)
  local need, want, spare = ask.need, ask.want, { BIG, BIG, BIG, BIG, BIG }
  for i, term in ipairs(ask.budgets) do
    local window = windows[i]
    local more = term.limit - window.spent - window.expected - (lease.expected - lease.spent) - need[1]
    local most = term.ceiling - window.spent - window.worst - (lease.worst - lease.spent) - need[2]
    if (need[1] > 0 or need[2] > 0) and (more < 0 or most < 0) then
      return { budget = i, at = term['end'] }
    end
    local shares = SHARES * math.max(1, window.leases)
    spare[1], spare[2] = math.min(spare[1], share(more / shares)), math.min(spare[2], share(most / shares))
  end
  for i, counted in ipairs(counts) do
    local of = ({ parallel = 3, requests = 4, tokens = 5 })[counted.kind]
    local needed = counted.kind == 'parallel' and need[of] or math.min(need[of], counted.limit)
    local room = counted.limit - counted.total - needed
    if need[of] > 0 and room < 0 then
      return { count = i, at = counted.kind == 'parallel' and now + SOON_S or free_at(counted, need[of], now) }
    end
    spare[of] = math.min(spare[of], share(room / SHARES))
  end
  local granted, tight = {}, false
  for i = 1, 5 do
    local one = need[i] > 0 and need[i] or 1
    granted[i] = need[i] + math.floor(math.max(0, math.min(want[i], spare[i])) / one) * one
    tight = tight or spare[i] < want[i]
  end
  return nil, granted, tight
end

local function numbers(list)
  local read = {}
  for i, value in ipairs(list) do read[i] = tonumber(value) end
  return read
end

-- Brings the ask into numbers. Returns the names of windows that the server does not know.
local function read_ask(tag, ask)
  local windows, unknown = {}, {}
  for i, term in ipairs(ask.budgets) do
    term.limit, term.ceiling = tonumber(term.limit), tonumber(term.ceiling)
    local window = window_of(tag, term.name)
    if not window and term.initial then
      window = { name = term.name, spent = tonumber(term.initial), expected = 0, worst = 0, leases = 0 }
      save_window(tag, window)
      if term.ends then redis.call('EXPIREAT', tag .. ':window:' .. term.name, text(term['end'] + AFTER_S)) end
    end
    if window then windows[i] = window else unknown[#unknown + 1] = i end
  end
  ask.need, ask.want, ask.owed = numbers(ask.need), numbers(ask.want), numbers(ask.owed)
  ask.spent, ask.expected, ask.worst = tonumber(ask.spent), tonumber(ask.expected), tonumber(ask.worst)
  return windows, unknown
end

local function stub(tag, reported, now)
  for id, spent in pairs(reported) do
    if redis.call('EXISTS', tag .. ':lease:' .. id) == 0 then
      local number = tonumber(spent)
      save_lease(tag, { id = id, spent = number, expected = number, worst = number, places = 0, swept = -1, estimated = 0,
        began = now, owner = '[]', windows = {}, parallel = {}, stub = true }, now + LEASE_S)
    end
  end
end

local function exchange(tag, ask, now)
  stub(tag, ask.reported or {}, now)
  local windows, unknown = read_ask(tag, ask)
  if #unknown > 0 then return { unknown = unknown } end
  local lease, correction = lease_of(tag, ask.lease), '0'
  if not lease or lease.swept >= 0 or lease.stub then
    lease, correction = begin(ask, lease, windows, now)
  end
  local counts = {}
  for i, count in ipairs(ask.counts) do counts[i] = cells_of(tag, count, now) end
  deposit(lease, windows, -1)
  local billed = math.max(0, ask.spent - lease.spent)
  lease.spent = lease.spent + billed
  for _, window in ipairs(windows) do window.spent = window.spent + billed end
  lease.expected, lease.worst = math.max(ask.expected, lease.spent), math.max(ask.worst, lease.spent)
  for _, counted in ipairs(counts) do
    if counted.kind == 'parallel' then
      charge(counted, 0, ask.places - lease.places)
    else
      charge_rate(counted, now, ask.owed[counted.kind == 'requests' and 4 or 5])
    end
  end
  lease.places = ask.places
  local refused, granted, tight = grant(ask, lease, windows, counts, now)
  granted, tight = granted or { 0, 0, 0, 0, 0 }, tight or refused ~= nil
  lease.expected, lease.worst = lease.expected + granted[1], lease.worst + granted[2]
  lease.places = lease.places + granted[3]
  deposit(lease, windows, 1)
  for _, counted in ipairs(counts) do
    if counted.kind == 'parallel' then
      charge(counted, 0, granted[3])
    else
      charge_rate(counted, now, granted[counted.kind == 'requests' and 4 or 5])
    end
  end
  local budgets, states, leases = {}, {}, 1
  for i, window in ipairs(windows) do
    budgets[i] = { text(window.spent), text(window.expected), text(window.worst), ask.budgets[i]['end'] }
    leases = math.max(leases, window.leases)
  end
  for i, counted in ipairs(counts) do
    local newest = now
    for _, cell in ipairs(counted.cells) do
      if counted.kind ~= 'parallel' and cell[2] ~= 0 then newest = math.max(newest, cell[1] + MINUTE_S + 1) end
    end
    states[i] = { text(counted.total), '0', '0', newest }
  end
  local answer = {
    now = string.format('%.6f', now), expected = text(lease.expected), worst = text(lease.worst), places = lease.places,
    requests = granted[4], tokens = granted[5], booked = text(lease.spent), tight = tight, budgets = budgets,
    counts = states, leases = leases, correction = correction, began = string.format('%.6f', lease.began)
  }
  if refused then
    answer.refused = { budget = refused.budget, count = refused.count, at = string.format('%.6f', refused.at) }
  end
  if ask.ends then
    deposit(lease, windows, -1)
    for _, window in ipairs(windows) do window.leases = window.leases - 1 end
    free_places(tag, lease)
    redis.call('DEL', tag .. ':lease:' .. lease.id)
    redis.call('ZREM', tag .. ':deadlines', lease.id)
  else
    save_lease(tag, lease, now + LEASE_S)
  end
  for _, window in ipairs(windows) do save_window(tag, window) end
  return answer
end

-- KEYS[1]: the prefix of all keys. ARGV[1]: a time instead of the server's, for tests; else the empty text.

-- ARGV[2]: the asks. Returns the answers.
redis.register_function('locus_limits_exchange_3', function(keys, args)
  local now, answers = clock(args[1]), {}
  for i, ask in ipairs(cjson.decode(args[2])) do answers[i] = exchange(keys[1], ask, now) end
  return cjson.encode(answers)
end)

-- ARGV[2], …: processes that were killed. Returns the leases whose deadline has passed, or whose process was killed.
redis.register_function('locus_limits_expired_3', function(keys, args)
  local now, key = clock(args[1]), keys[1] .. ':deadlines'
  -- If the clock has gone back, a killed process would keep its lease for long.
  local latest = string.format('%.6f', now + LEASE_S)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. latest, '+inf')) do
    redis.call('ZADD', key, latest, id)
  end
  for i = 2, #args do
    local prefix = args[i] .. '/'
    for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if string.sub(id, 1, #prefix) == prefix then redis.call('ZADD', key, 0, id) end
    end
  end
  return redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. string.format('%.6f', clock(args[1])), 'LIMIT', 0, 100)
end)

-- ARGV[2], …: pairs of a lease and of what the ledger has of it. Returns what is to be written to the ledger.
redis.register_function('locus_limits_sweep_3', function(keys, args)
  local tag, now, swept = keys[1], clock(args[1]), {}
  for i = 2, #args, 2 do
    local deadline = redis.call('ZSCORE', tag .. ':deadlines', args[i])
    local lease = lease_of(tag, args[i])
    if deadline and tonumber(deadline) < now and lease and lease.stub then
      redis.call('DEL', tag .. ':lease:' .. args[i])
      redis.call('ZREM', tag .. ':deadlines', args[i])
    elseif deadline and tonumber(deadline) < now and lease then
      local windows, recorded = {}, tonumber(args[i + 1])
      for _, name in ipairs(lease.windows) do windows[#windows + 1] = window_of(tag, name) end
      deposit(lease, windows, -1)
      local total = math.max(lease.spent, lease.expected, recorded)
      lease.swept, lease.estimated = total - lease.spent, total - recorded
      for _, window in ipairs(windows) do
        window.spent, window.leases = window.spent + lease.swept, window.leases - 1
        save_window(tag, window)
      end
      free_places(tag, lease)
      lease.expected, lease.worst = lease.spent, lease.spent
      save_lease(tag, lease, nil)
      swept[#swept + 1] = { args[i], lease.owner, string.format('%.6f', lease.began), text(lease.estimated) }
    end
  end
  return cjson.encode(swept)
end)
