-- Reserving calls, one after the other on each connection.
-- wrk … -s authorize.lua URL -- REQUESTS [cycle]
-- With "cycle" each granted reservation is then settled by a usage event.

local texts, settles, open = {}, {}, {}
local cycle = false

function init(args)
  cycle = args[2] == "cycle"
  math.randomseed(7)
  for line in io.lines(args[1]) do
    local key, bot, body = line:match("([^\t]+)\t([^\t]+)\t(.+)")
    local headers = {
      ["Authorization"] = "Bearer " .. key,
      ["Content-Type"] = "application/json",
    }
    texts[#texts + 1] = wrk.format("POST", nil, headers, body)
    settles[bot] = key
  end
  if cycle then
    response = function(status, headers, body)
      local id, bot = body:match('"id":"(res_%w+)"'), body:match('"policy_target":"([^"]+)"')
      if id and bot then open[#open + 1] = { id, bot } end
    end
  end
end

function request()
  if #open > 0 then
    local id, bot = unpack(table.remove(open))
    local headers = {
      ["Authorization"] = "Bearer " .. settles[bot],
      ["Content-Type"] = "application/json",
    }
    local body = '{"bot":"' .. bot .. '","reservation":"' .. id
      .. '","input_tokens":900,"output_tokens":150}'
    return wrk.format("POST", "/api/v1/usage", headers, body)
  end
  return texts[math.random(#texts)]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
