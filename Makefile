# Reel: `make help` lists what can be asked for.

VERSION  := 0.2.0
ABI      := 1
CC       ?= cc
AR       := $(CROSS)ar
ifneq ($(CROSS),)
CC       := $(CROSS)gcc
endif
CFLAGS   ?= -g
V        ?= 0
SANITIZE ?=
COVERAGE ?=
# CHAPTERS=0: without repeated rows, put-off products and late rows; everything works, slower.
CHAPTERS ?= 1
# MPI=1: ranks of MPI, by what pkg-config knows as MPI_PACKAGE.
MPI      ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
# The sanitizers check as much at -O1 and compile in a third of the time; gcov needs lines that are there.
OPT      ?= $(if $(SANITIZE)$(COVERAGE),-O1,-O3)

# Each way of building has a folder of its own, so that switching rebuilds nothing.
empty  :=
comma  := ,
config := $(or $(subst $(comma),-,$(SANITIZE)),$(if $(COVERAGE),coverage),release)
ifneq ($(CROSS),)
config := $(patsubst %-,%,$(CROSS))-$(config)
else ifeq ($(filter cc gcc,$(CC)),)
config := $(subst $(empty) ,_,$(notdir $(CC)))-$(config)
endif
ifeq ($(CHAPTERS),0)
config := $(config)-plain
endif
ifneq ($(MPI),)
config := $(config)-mpi
endif
B := build/$(config)

REEL_CFLAGS := -std=gnu17 $(OPT) -Wall -Wextra -Wpedantic -Wmissing-prototypes -Wstrict-prototypes \
               -fvisibility=hidden -fPIC -ffp-contract=off -fno-math-errno -fno-trapping-math -MMD -MP -I. -pthread
REEL_LIBS   := -lblis -lz -lm -pthread

# utf8proc knows letters and normalizes texts, for byte pairs; UTF8PROC= builds without it.
ifeq ($(CROSS),)
UTF8PROC    ?= $(shell pkg-config --exists libutf8proc 2>/dev/null && echo yes)
endif
ifneq ($(UTF8PROC),)
REEL_CFLAGS += -DREEL_UTF8PROC
REEL_LIBS   := -lutf8proc $(REEL_LIBS)
endif
ifeq ($(CHAPTERS),0)
REEL_CFLAGS += -DREEL_CHAPTERS=0
endif
MPI_PACKAGE ?= ompi-c
ifneq ($(MPI),)
REEL_CFLAGS += -DREEL_MPI $(patsubst -I%,-isystem %,$(shell pkg-config --cflags-only-I $(MPI_PACKAGE)))
REEL_LIBS   := $(shell pkg-config --libs $(MPI_PACKAGE)) $(REEL_LIBS)
endif
ifneq ($(SANITIZE),)
REEL_CFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDFLAGS     += -fsanitize=$(SANITIZE)
endif
ifneq ($(COVERAGE),)
REEL_CFLAGS += --coverage -fprofile-update=atomic
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
folders   := $(layers) $(patsubst %/,%,$(wildcard $(addsuffix /*/,$(layers))))
lib_src   := $(filter-out $(if $(MPI),,nn/comm_mpi.c),$(wildcard $(addsuffix /*.c,$(folders))))
lib_obj   := $(lib_src:%.c=$(B)/%.o)
headers   := $(filter-out %_internal.h,$(wildcard $(addsuffix /*.h,$(folders))))
tool_dirs := tools $(patsubst %/,%,$(wildcard tools/*/))
tool_src  := $(wildcard $(addsuffix /*.c,$(tool_dirs)))
tool_main := $(shell grep -l '^int main' $(tool_src) /dev/null)
tool_lib  := $(filter-out $(tool_main),$(tool_src))
tools     := $(tool_main:%.c=%)
# What stands in tools/ is the plain build's: another one, for another processor say, has its programs below build/ alone.
programs  := $(if $(filter build/release,$(B)),$(tools),$(tools:%=$(B)/%))
test_src  := $(wildcard $(foreach d,$(folders) $(tool_dirs),tests/$(d)/*.c))
fuzz_src  := $(wildcard tests/fuzz/*.c)
fuzz_obj  := $(fuzz_src:%.c=$(B)/%.o)
test_obj  := $(test_src:%.c=$(B)/%.o) $(fuzz_obj) $(B)/tests/run.o $(patsubst %.c,$(B)/%.o,$(wildcard tests/*_support.c))

.PHONY: all lib shared man test test-pytorch python test-python check-bpe check-parallel coverage zoo docs fuzz fuzzers lint install uninstall clean help format check-format FORCE
.SECONDARY:
.DELETE_ON_ERROR:

## all: the library and the programs (tools/NAME); CC=clang, CROSS=aarch64-linux-gnu-, V=1, -j as you like
all: lib $(programs)

# Notes its second argument in a file while the Makefile is read, unless that is what the file says already:
# whatever depends on the file is made anew when the text changes, and only then.
note = $(shell mkdir -p $(dir $(1)); printf '%s\n' $(2) | cmp -s - $(1) || printf '%s\n' $(2) > $(1))

# build/include mirrors PREFIX/include: a program says #include <reel/reel.h>, or <reel/nn/nn.h> for what the sources call "nn/nn.h".
include_tree := $(headers:%=build/include/reel/%) build/include/reel/reel.h
$(call note,build/include/list,$(headers:%=reel/%))

# (A header that is gone may still be named by what was built before.)
build/include/reel/%.h: %.h
	@mkdir -p $(@D)
	$(Q)test ! -e $< || sed 's|^#include "\(.*\)"|#include <reel/\1>|' $< > $@

# The umbrella has every header; those that are gone since go here as well.
build/include/reel/reel.h: build/include/list Makefile
	@mkdir -p $(@D)
	@cd build/include && find reel -name '*.h' | grep -vxF -f list | xargs rm -f
	$(Q){ printf '%s\n' '/* Everything that Reel offers. */' '#ifndef REEL_REEL_H' '#define REEL_REEL_H' '' \
	  '#define REEL_VERSION "$(VERSION)"' ''; sed 's|.*|#include <&>|' $<; printf '%s\n' '' '#endif'; } > $@

flags := $(CC) $(REEL_CFLAGS) $(CFLAGS) $(LDFLAGS) $(REEL_LIBS)
$(call note,$(B)/flags,'$(flags)')
$(call note,$(B)/library_objects,$(lib_obj))
$(call note,$(B)/tool_objects,$(tool_lib))
$(call note,$(B)/test_objects,$(test_obj))

## lib: build/release/libreel.a
lib: $(B)/libreel.a
## shared: build/release/libreel.so, which exports the public functions alone
shared: $(B)/libreel.so.$(VERSION)

$(B)/libreel.a: $(lib_obj) $(B)/library_objects
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(lib_obj)

$(B)/libreel.so.$(VERSION): $(lib_obj) $(B)/library_objects
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libreel.so.$(ABI) $(if $(SANITIZE),,-Wl$(comma)-z$(comma)defs) $(LDFLAGS) \
	  -o $@ $(lib_obj) $(REEL_LIBS)

$(B)/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(REEL_CFLAGS) $(own_flags) $(CFLAGS) -c -o $@ $<

# Makes a program of its objects and the libraries.
define link
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(1) $(REEL_LIBS)
endef

# Debian's blis.h includes omp.h and uses nothing of it: a compiler that has none (clang without its libomp-dev) gets this.
$(call note,$(B)/omp/omp.h,'/* empty */')
$(patsubst %.c,$(B)/%.o,$(shell grep -l 'blis.h>' $(lib_src))): REEL_CFLAGS += -idirafter $(B)/omp

# The library's own sources see the plain functions; callers see the macros that note file and line.
$(lib_obj): REEL_CFLAGS += -DREEL_LIBRARY

$(B)/tools/program.o: REEL_CFLAGS += -DREEL_VERSION='"$(VERSION)"'

# It measures an example as it stands.
$(B)/tools/bench_own_cell.o: REEL_CFLAGS += -Ibuild/include
$(B)/tools/bench_own_cell.o: $(include_tree)

$(tools): tools/%: build/release/tools/%
	@cp $< $@.new && mv $@.new $@

$(B)/tools/%: $(B)/tools/%.o $(tool_lib:%.c=$(B)/%.o) $(B)/libreel.a $(B)/tool_objects
	$(link)

# Installed the programs are called reel-NAME, train_zoo reel-train. Each writes its manual page itself, from the
# table of options that it reads its command line by.
installed = reel-$(patsubst train_zoo,train,$(notdir $(1)))
man_pages := $(foreach t,$(tools),$(B)/man/$(call installed,$(t)).1)

## man: the manual pages of the programs (build/release/man/reel-NAME.1)
man: $(man_pages)
$(foreach t,$(tools),$(eval $(B)/man/$(call installed,$(t)).1: $(B)/$(t)))
$(man_pages):
	@mkdir -p $(@D)
	$(Q)$(EMULATOR) $< --man > $@

# ---- The zoo ----

DATA   ?= build/debian.tsv
MODELS ?= rnn,lstm,attention,stacked
EPOCHS ?= 20
OUT    ?= runs/zoo

## zoo: trains MODELS for EPOCHS on DATA and compares them; without DATA on Debian's package descriptions
zoo: $(filter %/train_zoo,$(programs)) $(DATA)
	$< --data $(DATA) --models $(MODELS) --epochs $(EPOCHS) --out $(OUT) $(ZOO_FLAGS)

build/debian.tsv:
	@mkdir -p $(@D)
	tools/debian_corpus.sh -o $@

# ---- Tests ----

# A suite is a file: tests/LAYER/NAME.c, or tests/LAYER/FOLDER/NAME.c, defines `Suite *LAYER_NAME_suite(void)`.
suites := $(foreach f,$(test_src),$(word 2,$(subst /, ,$(f)))/$(basename $(notdir $(f))))
$(call note,$(B)/tests/suites.h,$(foreach s,$(suites),'SUITE($(subst /,$(comma) ,$(s)))'))

$(B)/tests/run.o: tests/run.c $(B)/tests/suites.h
$(B)/tests/run.o: REEL_CFLAGS += -I$(B)/tests

# A fuzz target is a file: tests/fuzz/NAME.c defines LLVMFuzzerTestOneInput(), here called fuzz_NAME(), to
# which tests/tools/fuzz_replay.c feeds the files of tests/fuzz/seeds/NAME.
$(fuzz_obj): own_flags = -DLLVMFuzzerTestOneInput=fuzz_$(basename $(@F))

$(call note,$(B)/tests/fuzz_targets.h,$(foreach f,$(fuzz_src:tests/fuzz/%.c=%),'FUZZ_TARGET($(f))'))

$(B)/tests/tools/fuzz_replay.o: $(B)/tests/fuzz_targets.h
$(B)/tests/tools/fuzz_replay.o: REEL_CFLAGS += -I$(B)/tests

check_libs := $(or $(shell pkg-config --libs check 2>/dev/null),-lcheck -lsubunit -lrt -lm)
$(B)/tests/run: $(test_obj) $(tool_lib:%.c=$(B)/%.o) $(B)/libreel.a $(B)/test_objects
	$(call link,$(check_libs))

$(B)/tests/optimizer_trials: $(B)/tests/optimizer_trials.o $(B)/tests/optimizer_support.o $(B)/libreel.a
	$(link)

# The C programs in the pages under docs/ (tests/docs_blocks.awk says how they are told) and the examples:
# compiled as a user compiles them. tests/tools/docs.c runs them.
pages         := $(wildcard docs/*.md)
page_programs := $(if $(pages),$(shell awk -v list=1 -f tests/docs_blocks.awk $(pages)))
example_src   := $(wildcard docs/examples/*.c)
examples      := $(example_src:%.c=$(B)/%)
doc_programs  := $(page_programs:%=$(B)/docs/pages/%)

$(B)/docs/blocks: $(pages) tests/docs_blocks.awk
	@rm -rf $(B)/docs/pages && mkdir -p $(B)/docs/pages
	@awk -v out=$(B)/docs/pages -f tests/docs_blocks.awk $(pages)
	@touch $@
$(page_programs:%=$(B)/docs/pages/%.c): $(B)/docs/blocks ;

user_cflags := $(patsubst -I.,-Ibuild/include,$(REEL_CFLAGS))
$(doc_programs): %: %.c
$(examples): $(B)/%: %.c
$(doc_programs) $(examples): $(B)/libreel.a $(B)/flags $(include_tree)
	$(call say,CC,$(filter %.c,$^))
	@mkdir -p $(@D)
	$(Q)$(CC) $(user_cflags) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) $(B)/libreel.a $(REEL_LIBS)

$(call note,$(B)/docs/programs,$(sort $(page_programs)))

# What the suites need to know of this build. A slow machine, and sanitizers, get more time.
test_env := REEL_TOOLS=$(CURDIR)/$(B)/tools REEL_DOCS=$(CURDIR)/$(B)/docs \
            REEL_MAKE='$(MAKE) CC="$(CC)" CROSS=$(CROSS) UTF8PROC=$(UTF8PROC) SANITIZE=$(SANITIZE) COVERAGE=$(COVERAGE) CHAPTERS=$(CHAPTERS) OPT="$(OPT)"' \
            REEL_CC='$(CC)' REEL_LINK_FLAGS='$(LDFLAGS)' \
            CK_TIMEOUT_MULTIPLIER=$(or $(CK_TIMEOUT_MULTIPLIER),$(if $(SANITIZE)$(COVERAGE)$(CROSS),30,10))
ifneq ($(SANITIZE),)
# A thread that still runs when a test's process ends is no leak of ours to see; exit codes tell failures.
test_env += UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1
endif

# Valgrind knows no AVX-512, which Reel then does not choose; what a test does in a process that is forked
# would be counted twice. The suite tools/leaks runs the programs under $REEL_VALGRIND.
VALGRIND ?=
ifneq ($(VALGRIND),)
valgrind := valgrind -q --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all --error-exitcode=99 \
            --suppressions=$(CURDIR)/tests/valgrind.supp
EMULATOR ?= $(valgrind)
test_env += CK_FORK=no REEL_VALGRIND='$(valgrind)'
endif

## test: builds and runs the tests (SUITE='autograd/* tensor/npz'; SANITIZE=address,undefined or thread; CHAPTERS=0; VALGRIND=1; SKIPS=fail)
test: $(tools:%=$(B)/%) $(include_tree) $(doc_programs) $(examples) $(B)/docs/programs $(B)/libreel.so.$(VERSION) $(B)/tests/run
	@$(test_env) REEL_SKIPS=$(SKIPS) $(EMULATOR) $(B)/tests/run '$(SUITE)'

PYTHON ?= python3
## test-pytorch: compares with PyTorch, both ways, where it is installed (PYTHON=python3 SKIPS=fail)
test-pytorch: $(B)/tools/predict $(B)/tools/train_zoo $(B)/tools/bench $(B)/tests/optimizer_trials $(B)/libreel.so.$(VERSION)
	@REEL_TOOLS=$(CURDIR)/$(B)/tools REEL_TRIALS=$(CURDIR)/$(B)/tests/optimizer_trials REEL_SKIPS=$(SKIPS) $(PYTHON) tests/pytorch.py
	@REEL_TOOLS=$(CURDIR)/$(B)/tools REEL_SKIPS=$(SKIPS) $(PYTHON) tests/pytorch_gradients.py
	@REEL_LIBRARY=$(CURDIR)/$(B)/libreel.so.$(VERSION) REEL_CC='$(CC)' REEL_SKIPS=$(SKIPS) $(PYTHON) tests/pytorch_samples.py

## python: a wheel of the Python package with the library inside, below build/release/python, for pip (docs/python.md)
python: $(B)/libreel.so.$(VERSION)
	@$(PYTHON) tools/python/wheel.py $< $(VERSION) $(B)/python

## test-python: the Python package in scikit-learn's hands, where that is installed (PYTHON=python3 SKIPS=fail)
test-python: python $(B)/tools/predict $(B)/tools/train_zoo
	@REEL_TOOLS=$(CURDIR)/$(B)/tools REEL_WHEEL=$$(ls $(CURDIR)/$(B)/python/reel-$(VERSION)-*.whl) REEL_SKIPS=$(SKIPS) $(PYTHON) tests/python.py

TEXT  ?= tests/fixtures/bpe/text.txt
VOCAB ?= 1000
RUNS  ?= 50
SEED  ?= 1
## check-bpe: byte pairs against tokenizers and subword-nmt, where they are installed (PYTHON= TEXT= VOCAB= RUNS= SEED= SKIPS=fail)
check-bpe: $(B)/tools/bpe
	@REEL_TOOLS=$(CURDIR)/$(B)/tools REEL_SKIPS=$(SKIPS) $(PYTHON) tests/bpe_references.py $(TEXT) $(VOCAB) $(RUNS) $(SEED)

## check-parallel: training on ranks, of forked processes and of MPI where it is installed (RANKS=few, all or hosts)
RANKS ?= all
check-parallel: $(B)/tools/train_zoo
	+$(Q)! pkg-config --exists $(MPI_PACKAGE) || $(MAKE) MPI=1 build/release-mpi/tools/train_zoo build/release-mpi/tools/bench
	@TRAIN=$(B)/tools/train_zoo tests/ranks.sh $(RANKS)

## coverage: runs the tests with gcov and prints which part of each file's lines they reach
coverage:
	$(Q)find build/coverage -name '*.gcda' -delete 2>/dev/null; $(MAKE) COVERAGE=1 test
	@find build/coverage -path '*/tests/*' -prune -o -path '*/docs/*' -prune -o -name '*.gcda' -print | \
	  xargs gcov -n 2>/dev/null | awk -f tests/coverage.awk | tee build/coverage/summary.txt

## fuzz: lets clang's libFuzzer look for inputs that break one target (TARGET=npz FUZZ_TIME=60)
TARGET    ?= npz
FUZZ_TIME ?= 60
fuzzers   := $(fuzz_src:tests/fuzz/%.c=build/fuzz/fuzz-%)
build_fuzzers = $(MAKE) CC=clang B=build/fuzz SANITIZE=address,undefined OPT=-O1 \
                CFLAGS='-g -fsanitize=fuzzer-no-link -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION'
fuzz: build/fuzz/words
	+$(Q)$(build_fuzzers) build/fuzz/fuzz-$(TARGET)
	@mkdir -p build/fuzz/corpus/$(TARGET)
	build/fuzz/fuzz-$(TARGET) -max_total_time=$(FUZZ_TIME) -timeout=20 -use_value_profile=1 \
	  -dict=build/fuzz/words -artifact_prefix=build/fuzz/ build/fuzz/corpus/$(TARGET) tests/fuzz/seeds/$(TARGET)

# The words that the sources look for in what they read, for the fuzzers to try.
build/fuzz/words: $(filter-out %/clean.c,$(filter tensor/storage/% nn/% models/%,$(lib_src))) $(tool_lib)
	@mkdir -p $(@D)
	$(Q)grep -oh '"[A-Za-z_<#][A-Za-z0-9_./<>-]\{1,30\}"' $^ | grep -v '\.h"' | sort -u > $@

## fuzzers: builds all of them (build/fuzz/fuzz-TARGET)
fuzzers:
	+$(Q)$(build_fuzzers) $(fuzzers)

build/fuzz/fuzz-%: tests/fuzz/%.c $(tool_lib:%.c=$(B)/%.o) $(B)/libreel.a
	$(call say,LD,$@)
	$(Q)$(CC) $(REEL_CFLAGS) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $(filter %.c %.o %.a,$^) $(REEL_LIBS)

# ---- Looking at the code ----

c_files = $$(git ls-files -co --exclude-standard '*.c' '*.h')
## format, check-format: lays the code out as .clang-format says, or checks that it is
format:
	clang-format -i $(c_files)
check-format:
	clang-format --dry-run --Werror $(c_files)

## lint: clang-tidy as .clang-tidy says, over what has changed since it last passed (use -j)
lint_src := $(lib_src) $(tool_src) $(test_src) $(fuzz_src) $(example_src) $(wildcard tests/*.c)
lint: $(lint_src:%=build/lint/%.ok)
	@echo "lint: $(words $(lint_src)) files, no warning"
build/lint/%.ok: % .clang-tidy build/release/tests/suites.h build/release/tests/fuzz_targets.h | $(include_tree)
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet --warnings-as-errors='*' $< -- -std=gnu17 -I. -Ibuild/include -Ibuild/release/tests -pthread \
	  $(if $(filter $(lib_src),$<),-DREEL_LIBRARY) -MMD -MP -MF $(@:.ok=.d) -MT $@ 2>$@.err || \
	  { cat $@.err >&2; exit 1; }
	@rm -f $@.err && touch $@

## docs: the API reference in build/docs/html; fails on a public symbol without a comment
# (Members are told about by their struct's comment where they have none of their own.)
docs:
	@mkdir -p build/docs
	$(Q)doxygen docs/Doxyfile 2>&1 | grep -v '(variable) of' > build/docs/undocumented.txt; \
	  cat build/docs/undocumented.txt >&2; test ! -s build/docs/undocumented.txt
	@echo "docs: build/docs/html/index.html"

## compile_commands.json: for editors and clangd
compile_commands.json: FORCE
	@{ printf '['; comma=; for file in $(lint_src); do \
	  case " $(lib_src) " in *" $$file "*) define='-DREEL_LIBRARY ';; *) define='-Ibuild/include -I$(B)/tests ';; esac; \
	  printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$comma" '$(CURDIR)' "$$file" \
	    "$(CC) $(filter-out -MMD -MP,$(REEL_CFLAGS)) $(CFLAGS) $${define}-c $$file"; comma=,; \
	done; printf '\n]\n'; } > $@

# ---- Installing ----

include_dir := $(DESTDIR)$(PREFIX)/include/reel
lib_dir     := $(DESTDIR)$(PREFIX)/lib
bin_dir     := $(DESTDIR)$(PREFIX)/bin
man_dir     := $(DESTDIR)$(PREFIX)/share/man/man1
words_dir   := $(DESTDIR)$(PREFIX)/share/bash-completion/completions

define pkg_config
prefix=$(PREFIX)
includedir=$${prefix}/include
libdir=$${prefix}/lib

Name: reel
Description: Reverse-mode autograd over strided tensors, and recurrent text classifiers on it
Version: $(VERSION)
Cflags: -I$${includedir} -pthread
Libs: -L$${libdir} -lreel
Libs.private: $(REEL_LIBS)
endef
export pkg_config

## install: headers, libreel.a, libreel.so, reel.pc; the programs, their manual pages and completion, to PREFIX (/usr/local), below DESTDIR
install: lib shared $(include_tree) $(tools:%=$(B)/%) $(man_pages)
	@for folder in $(folders); do mkdir -p $(include_dir)/$$folder; done
	@mkdir -p $(lib_dir)/pkgconfig $(bin_dir) $(man_dir) $(words_dir)
	@for header in reel.h $(headers); do install -m 644 build/include/reel/$$header $(include_dir)/$$header || exit 1; done
	install -m 644 $(B)/libreel.a $(lib_dir)/libreel.a
	install -m 755 $(B)/libreel.so.$(VERSION) $(lib_dir)/libreel.so.$(VERSION)
	ln -sf libreel.so.$(VERSION) $(lib_dir)/libreel.so.$(ABI)
	ln -sf libreel.so.$(ABI) $(lib_dir)/libreel.so
	@printf '%s\n' "$$pkg_config" > $(lib_dir)/pkgconfig/reel.pc
	@$(foreach t,$(tools),install -m 755 $(B)/$(t) $(bin_dir)/$(call installed,$(t)) &&) true
	@install -m 644 $(man_pages) $(man_dir)
	@$(foreach t,$(tools),install -m 644 tools/completion.bash $(words_dir)/$(call installed,$(t)) &&) true
	@echo "installed $(words $(headers)) headers, the library and $(foreach t,$(tools),$(call installed,$(t))) below $(DESTDIR)$(PREFIX)"

## uninstall: removes what install put there
uninstall:
	rm -f $(lib_dir)/libreel.a $(lib_dir)/libreel.so $(lib_dir)/libreel.so.$(ABI) $(lib_dir)/libreel.so.$(VERSION) \
	  $(lib_dir)/pkgconfig/reel.pc
	@rm -f $(foreach t,$(tools),$(bin_dir)/$(call installed,$(t)) $(man_dir)/$(call installed,$(t)).1 $(words_dir)/$(call installed,$(t)))
	@rm -f $(include_dir)/reel.h $(headers:%=$(include_dir)/%)
	@rmdir $(patsubst %,$(include_dir)/%,$(filter-out $(layers),$(folders)) $(layers)) $(include_dir) 2>/dev/null || true

## clean: removes all that was built
clean:
	rm -rf build $(tools) compile_commands.json

## help: this list
help:
	@sed -n 's/^## //p' Makefile

-include $(shell find $(B) build/lint -name '*.d' 2>/dev/null)
