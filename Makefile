# Reel: `make help` lists what can be asked for.

CC       ?= cc
AR       := $(CROSS)ar
ifneq ($(CROSS),)
CC       := $(CROSS)gcc
endif
OPT      ?= -O3
CFLAGS   ?= -g
V        ?= 0
SANITIZE ?=
COVERAGE ?=

# Each way of building has a folder of its own, so that switching rebuilds nothing.
empty :=
comma := ,
config := $(or $(subst $(comma),-,$(SANITIZE)),$(if $(COVERAGE),coverage),release)
ifneq ($(CROSS),)
config := $(patsubst %-,%,$(CROSS))-$(config)
endif
B := build/$(config)

REEL_CFLAGS := -std=gnu17 $(OPT) -Wall -Wextra -Wpedantic -Wmissing-prototypes -Wstrict-prototypes \
               -fvisibility=hidden -fPIC -ffp-contract=off -fno-math-errno -fno-trapping-math -MMD -MP -I. -pthread
REEL_LIBS   := -lblis -lz -lm -pthread
ifneq ($(SANITIZE),)
REEL_CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDFLAGS     += -fsanitize=$(SANITIZE)
endif
ifneq ($(COVERAGE),)
REEL_CFLAGS += --coverage
LDFLAGS     += --coverage
endif

ifeq ($(V),0)
Q := @
say = @printf '  %-4s %s\n' $(1) $(2)
else
Q :=
say = @:
endif

layers    := tensor autograd nn models
lib_src   := $(wildcard $(addsuffix /*.c,$(layers)))
lib_obj   := $(lib_src:%.c=$(B)/%.o)
tool_src  := $(wildcard tools/*.c)
tool_main := $(shell grep -l '^int main' $(tool_src) /dev/null)
tool_lib  := $(filter-out $(tool_main),$(tool_src))
tools     := $(tool_main:%.c=%)
test_src  := $(wildcard $(foreach d,$(layers) tools,tests/$(d)/*.c))
fuzz_src  := $(wildcard tests/fuzz/*.c)
fuzz_obj  := $(fuzz_src:%.c=$(B)/%.o)
test_obj  := $(test_src:%.c=$(B)/%.o) $(fuzz_obj) $(B)/tests/run.o $(patsubst %.c,$(B)/%.o,$(wildcard tests/*_support.c))

.PHONY: all lib test fuzz clean help format check-format
.SECONDARY:

## all: the library and the programs (tools/NAME)
all: lib $(tools)

## lib: build/release/libreel.a
lib: $(B)/libreel.a

$(B)/libreel.a: $(lib_obj)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(REEL_CFLAGS) $(CFLAGS) -c -o $@ $<

# The library's own sources see the plain functions; callers see the macros that note file and line.
$(lib_obj): REEL_CFLAGS += -DREEL_LIBRARY

tools/%: $(B)/tools/%
	@cp $< $@

$(B)/tools/%: $(B)/tools/%.o $(tool_lib:%.c=$(B)/%.o) $(B)/libreel.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(REEL_LIBS)

# A suite is a file: tests/DIR/NAME.c defines `Suite *DIR_NAME_suite(void)`.
$(B)/tests/suites.h: $(test_src) Makefile
	@mkdir -p $(@D)
	@printf '%s\n' $(patsubst tests/%.c,%,$(test_src)) | sed 's,/,_,; s,.*,SUITE(&_suite),' > $@.new
	@mv $@.new $@

$(B)/tests/run.o: tests/run.c $(B)/tests/suites.h
$(B)/tests/run.o: REEL_CFLAGS += -I$(B)/tests

# A fuzz target is a file: tests/fuzz/NAME.c defines LLVMFuzzerTestOneInput(), here called fuzz_NAME(), to
# which tests/tools/fuzz_replay.c feeds the files of tests/fuzz/seeds/NAME.
$(B)/tests/fuzz/%.o: tests/fuzz/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(REEL_CFLAGS) $(CFLAGS) -DLLVMFuzzerTestOneInput=fuzz_$* -c -o $@ $<

$(B)/tests/fuzz_targets.h: $(fuzz_src) Makefile
	@mkdir -p $(@D)
	@printf 'FUZZ_TARGET(%s)\n' $(fuzz_src:tests/fuzz/%.c=%) > $@.new
	@mv $@.new $@

$(B)/tests/tools/fuzz_replay.o: $(B)/tests/fuzz_targets.h
$(B)/tests/tools/fuzz_replay.o: REEL_CFLAGS += -I$(B)/tests

$(B)/tests/run: $(test_obj) $(tool_lib:%.c=$(B)/%.o) $(B)/libreel.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lcheck -lsubunit -lrt $(REEL_LIBS)

## test: builds and runs every test (SUITE=name for one; SANITIZE=address,undefined; COVERAGE=1)
test: $(tools) $(B)/tests/run
	REEL_TOOLS=$(CURDIR)/$(B)/tools $(B)/tests/run $(SUITE)

## fuzz: lets clang's libFuzzer look for inputs that break one target (TARGET=npz FUZZ_TIME=60)
TARGET    ?= npz
FUZZ_TIME ?= 60
fuzz:
	$(Q)$(MAKE) CC=clang B=build/fuzz SANITIZE=address,undefined OPT=-O1 build/fuzz/fuzz-$(TARGET) \
	  CFLAGS='-g -fsanitize=fuzzer-no-link -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION'
	@mkdir -p build/fuzz/corpus/$(TARGET)
	build/fuzz/fuzz-$(TARGET) -max_total_time=$(FUZZ_TIME) -timeout=20 -use_value_profile=1 \
	  -artifact_prefix=build/fuzz/ build/fuzz/corpus/$(TARGET) tests/fuzz/seeds/$(TARGET)

build/fuzz/fuzz-%: tests/fuzz/%.c $(tool_lib:%.c=$(B)/%.o) $(B)/libreel.a
	$(call say,LD,$@)
	$(Q)$(CC) $(REEL_CFLAGS) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(REEL_LIBS)

## format, check-format: lays the code out as .clang-format says, or checks that it is
format:
	clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')
check-format:
	clang-format --dry-run --Werror $$(git ls-files -co --exclude-standard '*.c' '*.h')

## clean: removes all that was built
clean:
	rm -rf build $(tools)

## help: this list
help:
	@sed -n 's/^## //p' Makefile

-include $(shell find build -name '*.d' 2>/dev/null)
