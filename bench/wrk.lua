-- Requests of wrk: lines of the file that REQUESTS names, an address and an access token each, in an order drawn by chance.
-- Standard error gets what was counted, as one line of JSON.
local requests = {}

function init(args)
  math.randomseed(tonumber(args[1]))
  for line in io.lines(os.getenv("REQUESTS")) do
    local path, token = line:match("^(%S+) (%S+)$")
    requests[#requests + 1] = wrk.format("GET", path, { Authorization = "Bearer " .. token })
  end
end

function request()
  return requests[math.random(#requests)]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
