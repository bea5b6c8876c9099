-- The same chat completion again and again.
-- wrk … -s gateway.lua URL -- KEY BODY-FILE

local text

function init(args)
  local file = io.open(args[2])
  local body = file:read("*a")
  file:close()
  local headers = {
    ["Authorization"] = "Bearer " .. args[1],
    ["Content-Type"] = "application/json",
  }
  text = wrk.format("POST", nil, headers, body)
end

function request()
  return text
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
