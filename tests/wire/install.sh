#!/bin/sh
# What `make install` and `make deb` leave behind, and what systemd's own tools say of it. Prints a
# claim before it proves it. Exit status: 0 all hold, 1 one does not, 77 a tool is missing.
unset CDPATH MAKEFLAGS MFLAGS MAKELEVEL
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.." || exit 1
starling=${STARLING:-build/release/starling}
# A package is of the build that is shipped.
case $starling in */release/*) ;; *) echo "not a release build"; exit 77 ;; esac
build=$(dirname "$starling")
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

claim() {
	name=$1
	shift
	if "$@" >"$scratch/out" 2>&1; then
		echo "install: $name"
	else
		echo "FAIL install: $name"
		cat "$scratch/out"
		exit 1
	fi
}

install_to() {
	make -s install B="$build" DESTDIR="$scratch/root" PREFIX="$1"
}

has_files() {
	for file in bin/starling lib/sysctl.d/90-starling-sysctl.conf \
		lib/systemd/system/starling.service lib/systemd/system/starling.socket \
		lib/sysusers.d/starling.conf share/doc/starling/limits.conf \
		share/doc/starling/starling.conf share/doc/starling/alerts.yml \
		share/doc/starling/prometheus.yml; do
		test -f "$scratch/root/opt/x/$file" || { echo "$file is missing"; return 1; }
	done
	"$scratch/root/opt/x/bin/starling" version &&
		grep '^ExecStart=/opt/x/bin/starling ' "$scratch/root/opt/x/lib/systemd/system/starling.service"
}

units_verify() {
	mkdir -p "$scratch/units"
	for unit in starling.service starling.socket; do
		sed "s|/usr/local/bin/starling|$PWD/$starling|; s|$PWD//|/|" "systemd/$unit" \
			>"$scratch/units/$unit"
	done
	systemd-analyze verify "$scratch/units/starling.service" "$scratch/units/starling.socket" 2>&1 |
		grep -F -e starling. | grep -v 'Failed to connect' >"$scratch/verified"
	cat "$scratch/verified"
	test ! -s "$scratch/verified"
}

# The figure is of one decimal: below 2.0 is 0.0 to 1.9.
is_hardened() {
	systemd-analyze security --offline=true systemd/starling.service | tee "$scratch/security" |
		tail -n 1 | grep -E 'starling.service: [01]\.[0-9] ' || { cat "$scratch/security"; return 1; }
}

makes_package() {
	DEBEMAIL=nobody@debian.org make -s deb B="$build" MODE=release && mv "$build"/deb/starling_*.deb "$scratch/starling.deb"
}

package_has() {
	dpkg-deb --contents "$scratch/starling.deb" >"$scratch/contents" || return 1
	for file in ./usr/bin/starling ./usr/lib/systemd/system/starling.service \
		./usr/lib/systemd/system/starling.socket ./usr/lib/sysctl.d/90-starling-sysctl.conf \
		./usr/lib/sysusers.d/starling.conf \
		./etc/starling/starling.conf ./usr/share/doc/starling/copyright; do
		grep -q " root/root .* $file\$" "$scratch/contents" || { echo "$file is missing"; return 1; }
	done
	dpkg-deb --extract "$scratch/starling.deb" "$scratch/package" &&
		"$scratch/package/usr/bin/starling" serve --print-config \
			-c "$scratch/package/etc/starling/starling.conf"
}

lints() {
	lintian --no-cfg --fail-on error --tag-display-limit 0 "$scratch/starling.deb"
}

claim "files are below PREFIX, and the unit starts what is there" install_to /opt/x
claim "none is missing" has_files
if command -v systemd-analyze >/dev/null; then
	claim "systemd-analyze finds nothing wrong with the units" units_verify
	claim "and the service exposed to less than 2.0" is_hardened
fi
knows_user() {
	mkdir -p "$scratch/host/etc" &&
		systemd-sysusers --root="$scratch/host" "$scratch/root/opt/x/lib/sysusers.d/starling.conf" &&
		grep '^starling:' "$scratch/host/etc/passwd"
}

watches() {
	cp "$scratch/root/opt/x/share/doc/starling/prometheus.yml" \
		"$scratch/root/opt/x/share/doc/starling/alerts.yml" "$scratch" && : >"$scratch/starling.key" &&
		promtool check config "$scratch/prometheus.yml"
}

if command -v systemd-sysusers >/dev/null; then
	claim "systemd-sysusers makes the user of the service" knows_user
fi
if command -v promtool >/dev/null; then
	claim "promtool finds nothing wrong with what Prometheus is to read" watches
fi
if command -v dpkg-deb >/dev/null; then
	claim "make deb makes a package" makes_package
	claim "that holds the program, its units and its settings" package_has
	command -v lintian >/dev/null && claim "in which lintian finds no error" lints
fi
exit 0
