#!/bin/sh
# curl as people use it from a shell, against the real binary. Prints a claim before it proves it.
# Exit status: 0 all hold, 1 one does not, 77 there is no curl.
command -v curl >/dev/null || exit 77
unset CDPATH
here=$(cd "$(dirname "$0")" && pwd)
starling=${STARLING:-$here/../../build/release/starling}
scratch=$(mktemp -d) || exit 1
server=
trap 'test -n "$server" && kill -KILL "$server" 2>/dev/null; rm -rf "$scratch"' EXIT

# Its own port, below the range the kernel gives to others; the next one when it is taken.
port=$((20000 + $$ % 10000))
start() {
	for _ in 1 2 3 4 5; do
		port=$((port + 1))
		url=http://127.0.0.1:$port
		"$starling" serve -o listen.http=127.0.0.1:$port -o workers.count=2 \
			-o drain.time=1s 2>"$scratch/stderr" &
		server=$!
		curl -fs --retry 100 --retry-delay 0 --retry-max-time 30 --retry-connrefused \
			-o "$scratch/health" "$url/health" &&
			kill -0 "$server" 2>/dev/null && return
	done
	echo "the server does not start: $(cat "$scratch/stderr")"
	exit 1
}

claim() {
	name=$1
	echo "curl: $name"
}

fail() {
	echo "curl: $name: $*"
	exit 1
}

# is GOT WANTED: the two are the same text.
is() {
	test "$1" = "$2" || fail "got '$1' instead of '$2'"
}

# like GOT PATTERN: a pattern of the shell matches.
like() {
	case $1 in
	$2) ;;
	*) fail "got '$1', not like '$2'" ;;
	esac
}

status() {
	curl -s -o "$scratch/body" -w '%{http_code}' "$@"
}

start

claim "/health is 200"
is "$(status "$url/health")" 200

claim "-I asks with HEAD"
like "$(curl -sI "$url/health" | tr -d '\r' | head -n 1)" "HTTP/1.1 200*"

claim "--http1.0 is answered"
is "$(status --http1.0 "$url/health")" 200

claim "an unknown path is 404 JSON"
is "$(status "$url/nowhere")" 404
like "$(cat "$scratch/body")" '{"error":*"not_found"*'

claim "-d with JSON publishes JSON"
is "$(status -H 'Content-Type: application/json' -d '{"price":7}' "$url/publish?channel=c")" 200
like "$(cat "$scratch/body")" '{"id":"*-1"*"duplicate":false*}'

claim "-d with text publishes a string"
is "$(status -H 'Content-Type: text/plain' -d 'hello' "$url/publish?channel=c")" 200

claim "a large body goes with Expect: 100-continue"
{ printf '"'; head -c 60000 /dev/zero | tr '\0' x; printf '"'; } >"$scratch/large"
is "$(status -H 'Content-Type: application/json' -H 'Expect: 100-continue' \
	--data-binary @"$scratch/large" "$url/publish?channel=large")" 200

claim "-T - sends chunks"
is "$(echo '"chunk"' | status -X POST -H 'Content-Type: application/json' -T - \
	"$url/publish?channel=c")" 200

claim "the server API publishes"
is "$(status -d '{"channel":"c","data":"from the API"}' -H 'Content-Type: application/json' \
	"$url/api/publish")" 200

claim "/poll since the start brings all of it"
held=$(curl -s "$url/poll?channel=c&since=start")
like "$held" '*{"price":7}*"hello"*"chunk"*"from the API"*'

claim "a poll that waits is answered by the next message"
cursor=$(echo "$held" | sed 's/.*"cursor" *: *"\([^"]*\)".*/\1/')
curl -s "$url/poll?channel=c&since=$cursor&wait=25" >"$scratch/poll" &
poll=$!
is "$(status -H 'Content-Type: text/plain' -d 'news' "$url/publish?channel=c")" 200
wait $poll
like "$(cat "$scratch/poll")" '*"news"*'

claim "-N /events brings events as they come"
curl -sN "$url/events?channel=c&since=start" >"$scratch/events" &
events=$!
until grep -q '"news"' "$scratch/events"; do
	kill -0 $events || fail "the stream ended"
	sleep 0.02
done
kill $events
grep -q '^retry: ' "$scratch/events" || fail "no retry"
grep -q '^data: {"price":7}$' "$scratch/events" || fail "no data"
grep -q '^id: .*-1$' "$scratch/events" || fail "no id"

claim "several requests share a connection"
is "$(curl -s -o "$scratch/1" -o "$scratch/2" -w '%{num_connects}' "$url/health" "$url/ready")" 10

claim "the demo page is HTML, the client JavaScript"
like "$(curl -sI "$url/" | tr -d '\r' | grep -i '^content-type:')" '*text/html*'
like "$(curl -sI "$url/starling.js" | tr -d '\r' | grep -i '^content-type:')" '*javascript*'

claim "SIGTERM ends it with 0, and nothing was broken"
kill -TERM "$server"
wait "$server"
is "$?" 0
server=
grep -E 'Sanitizer|runtime error:|check failed' "$scratch/stderr" && fail "see above"
exit 0
