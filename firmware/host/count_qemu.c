/* A plugin for QEMU: counts the instructions of the model's run function, and nothing else, as count_blocks.c does in
   Unicorn. Compiled on the user's machine, loaded by tinygen/emulate/counter_qemu.py.

   QEMU calls it once an executed translation block. No register is read: the run function returns to the end of the
   block that called it, and the hook's last act is to call an empty function. Arguments: run=ADDRESS, hook=ADDRESS and
   hook_end=ADDRESS of validation builds, out=FILE. The file gets a line "S count" at every entry of the hook and a line
   "E count" at every return of the run function.

   The few prototypes below are those of qemu-plugin.h, which no package has; they are alike in all versions of the
   interface. An exception inside a block is the one thing that makes a count inexact: Xtensa's window overflows. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*translated_t)(plugin_id_t id, struct qemu_plugin_tb *block);
typedef void (*executed_t)(unsigned int cpu, void *user);

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id_t id, translated_t function);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, executed_t function, int flags,
                                                 void *user);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *block);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);

EXPORT int qemu_plugin_version = PLUGIN_VERSION;
EXPORT int qemu_plugin_install(plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

enum { NO_REGISTERS = 0 };
enum { IDLE, RUNNING, IN_HOOK };

typedef struct {
    uint64_t begin;
    uint64_t end;
    uint64_t instructions;
} block_t;

static uint64_t run_entry;
static uint64_t hook_entry; /* 0: none */
static uint64_t hook_end;
static FILE *out;

static int state = IDLE;
static uint64_t run_return;
static uint64_t last_end; /* of the block that ran before */
static uint64_t count;

static void end_inference(void)
{
    state = IDLE;
    (void)fprintf(out, "E %" PRIu64 "\n", count);
    (void)fflush(out);
}

static void on_executed(unsigned int cpu, void *user)
{
    const block_t *block = user;
    (void)cpu;
    if (state == IDLE && block->begin == run_entry) {
        state = RUNNING;
        run_return = last_end;
        count = 0;
    } else if (state != IDLE && block->begin == run_return) {
        end_inference();
    } else if (state == RUNNING && hook_entry != 0u && block->begin == hook_entry) {
        state = IN_HOOK;
        (void)fprintf(out, "S %" PRIu64 "\n", count);
    } else if (state == IN_HOOK && block->begin == hook_end) {
        state = RUNNING;
    }
    if (state == RUNNING) {
        count += block->instructions;
    }
    last_end = block->end;
}

static void on_translated(plugin_id_t id, struct qemu_plugin_tb *block)
{
    const size_t instructions = qemu_plugin_tb_n_insns(block);
    const struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(block, instructions - 1u);
    block_t *known = malloc(sizeof *known); /* as long as QEMU lives: it may run the block at any time */
    (void)id;
    if (known == NULL) {
        abort();
    }
    known->begin = qemu_plugin_tb_vaddr(block);
    known->end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);
    known->instructions = instructions;
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_executed, NO_REGISTERS, known);
}

int qemu_plugin_install(plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "run=", 4) == 0) {
            run_entry = strtoull(argv[i] + 4, NULL, 0);
        } else if (strncmp(argv[i], "hook=", 5) == 0) {
            hook_entry = strtoull(argv[i] + 5, NULL, 0);
        } else if (strncmp(argv[i], "hook_end=", 9) == 0) {
            hook_end = strtoull(argv[i] + 9, NULL, 0);
        } else if (strncmp(argv[i], "out=", 4) == 0) {
            out = fopen(argv[i] + 4, "w");
        }
    }
    if (out == NULL) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    return 0;
}
