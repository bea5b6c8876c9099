-- Usage events in batches. wrk … -s bulk.lua URL -- REQUESTS SIZE

local texts = {}

function init(args)
  local size = tonumber(args[2])
  math.randomseed(7)
  local key, events = nil, {}
  for line in io.lines(args[1]) do
    local found, bot, body = line:match("([^\t]+)\t([^\t]+)\t(.+)")
    key = found
    local user = body:match('"user": ("[^"]+")')
    events[#events + 1] = '{"bot":"' .. bot .. '","user":' .. user
      .. ',"model":"gpt-4o-mini","input_tokens":700,"output_tokens":120}'
    if #events == size then
      local headers = {
        ["Authorization"] = "Bearer " .. key,
        ["Content-Type"] = "application/json",
      }
      local text = '{"events":[' .. table.concat(events, ",") .. "]}"
      texts[#texts + 1] = wrk.format("POST", nil, headers, text)
      events = {}
    end
  end
end

function request()
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
