-- Keeps the weights of the replicas so that "least connections" means "least pass time owed".
--
-- HAProxy takes the server where (requests + 1) / weight is least. It knows its requests at once, but not what they cost; a
-- replica knows its backlog in milliseconds (/health/ready), but is asked only once a second. With
--
--   weight = mean * (requests + 1) / (backlog + mean), where mean is the fleet's backlog for each request
--
-- that quotient follows the backlog, and each request that HAProxy adds counts at once. A replica that is slow, or has the long
-- texts, weighs less; a WebSocket that asks nothing weighs nothing. Weights move by a fifth a second: followed at once, what was
-- owed a second ago misleads.

local BACKEND = "fewstep"
local KEY = os.getenv("FEWSTEP_METRICS_KEY") -- of the role `metrics`, where the replicas have keys
local PERIOD_MS = 1000
local NEWEST = 0.2 -- share of the newest second in a weight
local HEAVIEST = 256

local weights = {} -- by the name of the server

--- Milliseconds of passes that a replica owes; nil where it does not say.
local function backlog_of(server)
  local headers = KEY and { authorization = { "Bearer " .. KEY } } or nil
  local url = "http://" .. server:get_addr() .. "/health/ready"
  local answer = core.httpclient():get({ url = url, headers = headers, timeout = PERIOD_MS })
  local sum
  for backlog in (answer.body or ""):gmatch('"backlog_ms":(%d+)') do
    sum = (sum or 0) + tonumber(backlog)
  end
  return sum
end

local function balance()
  local replicas, all_requests, all_backlog = {}, 0, 0
  for name, server in pairs(core.backends[BACKEND].servers) do
    local stats = server:get_stats()
    local backlog = stats.status:match("^UP") and backlog_of(server)
    if backlog then
      table.insert(replicas, { name = name, server = server, requests = stats.scur, backlog = backlog })
      all_requests = all_requests + stats.scur
      all_backlog = all_backlog + backlog
    end
  end
  local mean = math.max(1, all_backlog / math.max(1, all_requests))
  local most = 0
  for _, replica in ipairs(replicas) do
    local weight = mean * (replica.requests + 1) / (replica.backlog + mean)
    weights[replica.name] = (1 - NEWEST) * (weights[replica.name] or 1) + NEWEST * weight
    most = math.max(most, weights[replica.name])
  end
  for _, replica in ipairs(replicas) do
    replica.server:set_weight(tostring(math.max(1, math.floor(HEAVIEST * weights[replica.name] / most))))
  end
end

core.register_task(function()
  while true do
    core.msleep(PERIOD_MS)
    local fine, reason = pcall(balance)
    if not fine then core.Warning("backlog.lua: " .. tostring(reason)) end
  end
end)
