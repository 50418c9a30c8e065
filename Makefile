# Starling: a real-time server.
#
#   make            build/release/starling
#   make run        build it and start it, with presence in chat:*; ARGS="-o limits.connections=20000"
#                   go to the server
#   make test       install what the tests need (as root on a Debian-like system; else it says
#                   which line to run), then all tests
#   make check      all tests, with what is there
#   make unit       the unit tests alone, in MODE; so do make sim, make wire and make replay
#   make mutants    plants faults in the hub, the slots and what is between them, and says how
#                   soon their simulations find each
#   make tidy       layers, headers, banned calls, tables, formatting
#   make fuzz-NAME  fuzz tests/fuzz/NAME_fuzz.c for FUZZ_SECONDS=60 (clang); make fuzz-all: each
#   make coverage   the lines that the unit tests, simulations and replayed inputs reach
#   make bench      each kind of load in short, beside the floor; ARGS="rooms echo" some of them
#   make bench-full the same at length, with plots into bench/README.md
#   make bench-programs  the load generator, the floor and the micro benches, to be run by hand
#   make bench-micro  what an operation of each module costs; ARGS="--instructions walk" counts
#   make bench-peers  the same work by nginx + nchan, nats-server, ws, socket.io and Redis
#   make bench-million  a million connections; ARGS="50000 --rooms 1000 --resume 5000" fewer
#   make format     clang-format, in place
#   make install    the program, its units and its sysctl file; DESTDIR= and PREFIX= are honoured
#   make deb        the same as a Debian package, in build/MODE/deb
#   make clean
#
# MODE is release, debug, asan, tsan, fuzz or coverage; each has its own build/MODE, or another
# place with B=. CC is gcc or clang. CFLAGS and LDFLAGS are added to ours. V=1 shows the commands.

ifeq ($(origin CC),default)
CC     := gcc
endif
MODE   ?= release
B      := build/$(MODE)
PREFIX ?= /usr/local
Q      := $(if $(V),,@)

SLOW   := -DSTARLING_SLOW_CHECKS -fno-omit-frame-pointer
MODE.release  := -O2 -g
MODE.debug    := -O0 -g3 $(SLOW)
MODE.asan     := -O1 -g $(SLOW) -fsanitize=address,undefined -fno-sanitize-recover=all
MODE.tsan     := -O1 -g $(SLOW) -fsanitize=thread
MODE.fuzz     := $(MODE.asan) -fsanitize=fuzzer-no-link
MODE.coverage := -O0 -g $(SLOW) --coverage
ifeq ($(MODE.$(MODE)),)
$(error MODE=$(MODE) is none of release, debug, asan, tsan, fuzz and coverage)
endif

WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
          -Wmissing-prototypes -Wvla -Werror $(if $(findstring clang,$(CC)),-Wthread-safety)
FLAGS  := -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -Ibench -pthread $(WARN) $(MODE.$(MODE)) $(CFLAGS)
# Each symbol is found at the start: who looks for one later puts all registers on the stack, and
# with them what was last copied, which may be a secret.
NOW    := -Wl,-z,relro,-z,now
LINK    = $(CC) $(MODE.$(MODE)) $(CFLAGS) $(NOW) $(LDFLAGS) -pthread -o $@ $(filter %.o %.a,$^)
LIBS   := -lssl -lcrypto

SRC    := $(filter-out src/main.c,$(sort $(shell find src -name '*.[cS]')))
OBJ    := $(SRC:%=$B/%.o)
STATIC := $(shell find src -path '*/static/*' -type f)
TEST   := $(sort $(shell find tests/unit tests/sim -name '*_test.c' 2>/dev/null))
FUZZ   := $(sort $(wildcard tests/fuzz/*_fuzz.c))
MICRO  := $(patsubst %.c,$B/%,$(filter-out %/micro.c,$(wildcard bench/micro/*.c)))
CROWD  := $(patsubst %.c,$B/%.c.o,$(wildcard bench/crowd/*.c))
KIT    := $(sort $(wildcard bench/kit/*.c))
BENCH  := $B/bench/load $B/bench/floor $(MICRO) $B/bench/crowd/crowd
C      := $(shell find src include tests bench -name '*.[ch]' -not -path '*/node_modules/*')

all: $B/starling

run: all
	$Q exec $B/starling $(ARGS) -o 'channel.chat:*.presence=full'

test:
	$Q.ci/run

check:
	$Qtests/run

unit wire:
	$Qtests/run $@-$(MODE)

sim:
	$Qtests/run sim-release sim-asan

mutants:
	$Qtests/sim/mutants && tests/sim/slot_mutants && tests/sim/keeper_mutants

replay:
	$Qtests/run fuzz-asan

tidy:
	$Qtests/tidy

# Programs

$B/starling: $B/src/main.c.o $B/starling.a
	@echo "  LINK  $@"
	$Q$(LINK) $(LIBS)

tests: $(TEST:%.c=$B/%) $(FUZZ:%.c=$B/%) $(BENCH)

# A program that dies must have said its last line: line.c.o has stdout written by the line. And
# failing.c.o stands before the allocations of our objects, which a test may have fail.
FAILING := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=strdup \
           -Wl,--wrap=strndup,--wrap=mmap
$B/tests/%_test: $B/tests/%_test.c.o $B/tests/line.c.o $B/tests/failing.c.o $B/starling.a
	@echo "  LINK  $@"
	@mkdir -p $(@D)
	$Q$(LINK) $(FAILING) $(LIBS)

$B/tests/unit/bench/%_test: $B/tests/unit/bench/%_test.c.o $B/tests/line.c.o \
			    $B/tests/failing.c.o $B/bench/kit.a $B/starling.a
	@echo "  LINK  $@"
	@mkdir -p $(@D)
	$Q$(LINK) $(FAILING) $(LIBS)

# The server, whose allocations a wire test has fail.
$B/tests/failing/starling: $B/src/main.c.o $B/tests/failing.c.o $B/starling.a
	@echo "  LINK  $@"
	@mkdir -p $(@D)
	$Q$(LINK) $(FAILING) $(LIBS)

FUZZER := $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer)
$B/tests/fuzz/%_fuzz: $B/tests/fuzz/%_fuzz.c.o $B/starling.a \
		      $(if $(FUZZER),,$B/tests/fuzz/replay.c.o $B/tests/line.c.o)
	@echo "  LINK  $@"
	$Q$(LINK) $(FUZZER) $(LIBS)

$B/bench/micro/%: $B/bench/micro/%.c.o $B/bench/micro/micro.c.o $B/starling.a
	@echo "  LINK  $@"
	$Q$(LINK) $(LIBS)

$B/bench/crowd/crowd: $(CROWD) $B/starling.a
	@echo "  LINK  $@"
	$Q$(LINK) $(LIBS)

$B/bench/%: $B/bench/%.c.o $B/bench/kit.a $B/starling.a
	@echo "  LINK  $@"
	$Q$(LINK) $(LIBS)

# Objects

$B/starling.a: $(OBJ) $B/sources
	@echo "  AR    $@"
	$Qrm -f $@ && ar rcs $@ $(OBJ)

$B/bench/kit.a: $(KIT:%=$B/%.o) $B/sources
	@echo "  AR    $@"
	$Qrm -f $@ && ar rcs $@ $(filter %.o,$^)

$B/%.c.o: %.c $B/flags
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$Q$(CC) $(FLAGS) -MMD -MP -c -o $@ $<

$B/%.S.o: %.S $(STATIC) $B/flags
	@echo "  AS    $<"
	@mkdir -p $(@D)
	$Q$(CC) $(FLAGS) -MMD -MP -c -o $@ $<

# Two files that are written only when their text changes: other flags compile everything anew,
# and the archive loses what is no longer in src.
$B/flags:   text = $(CC) $(FLAGS)
$B/sources: text = $(SRC) $(KIT)
$B/flags $B/sources: FORCE
	@tests/setup build $(CC)
	@mkdir -p $B
	@echo '$(text)' | cmp -s - $@ || echo '$(text)' >$@

# Tools

FUZZ_SECONDS ?= 60
fuzz-%:
	$Q$(MAKE) --no-print-directory CC=clang MODE=fuzz build/fuzz/tests/fuzz/$*_fuzz
	@mkdir -p build/fuzz/corpus/$* tests/fuzz/crashers/$*
	$Qbuild/fuzz/tests/fuzz/$*_fuzz -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
		-artifact_prefix=tests/fuzz/crashers/$*/ \
		build/fuzz/corpus/$* $(wildcard tests/fuzz/corpus/$*) tests/fuzz/crashers/$*
	@rmdir --ignore-fail-on-non-empty tests/fuzz/crashers/$*

fuzz-all: $(FUZZ:tests/fuzz/%_fuzz.c=fuzz-%)

coverage:
	$Qtests/coverage

bench: all $B/bench/load $B/bench/floor
	$Qbench/run --build $B $(ARGS)

bench-full: all $B/bench/load $B/bench/floor
	$Qbench/run --full --build $B $(ARGS)

bench-programs: all $(BENCH)

bench-micro: $(MICRO)
	$Qbench/micro/run $B $(ARGS)

bench-peers: all $B/bench/load $B/bench/floor
	$Qbench/peers/run $B $(ARGS)

bench-million: all $B/bench/crowd/crowd
	$Qbench/million --build $B $(ARGS)

format:
	$Qclang-format -i $C

install: all
	install -D -m 755 $B/starling $(DESTDIR)$(PREFIX)/bin/starling
	install -D -m 644 systemd/90-starling-sysctl.conf \
		$(DESTDIR)$(PREFIX)/lib/sysctl.d/90-starling-sysctl.conf
	install -D -m 644 systemd/starling.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/starling.conf
	install -D -m 644 systemd/starling-limits.conf \
		$(DESTDIR)$(PREFIX)/share/doc/starling/limits.conf
	install -m 644 systemd/starling.conf doc/alerts.yml doc/prometheus.yml \
		$(DESTDIR)$(PREFIX)/share/doc/starling
	install -D -m 644 systemd/starling.socket \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/starling.socket
	sed 's|/usr/local/|$(PREFIX)/|' systemd/starling.service | install -D -m 644 /dev/stdin \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/starling.service

deb: all
	$Qrm -rf $B/deb && mkdir -p $B/deb
	$Q$(MAKE) --no-print-directory install MODE=$(MODE) B=$B DESTDIR=$(abspath $B)/deb/stage PREFIX=/usr
	$Qsystemd/deb $(abspath $B)/deb/stage $(abspath $B)/deb

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

clean:
	rm -rf build

FORCE:
.PHONY: FORCE all run test check unit wire sim mutants replay tidy tests fuzz-all coverage bench \
	bench-full bench-programs bench-micro bench-peers bench-million format install deb help clean
.SECONDARY:
-include $(shell find $B -name '*.d' -type f 2>/dev/null)
