/* Unicorn calls this once a basic block: counts the instructions of the model's run function, and nothing else.

   Compiled on the user's machine and loaded by tinygen/emulate/counter.py, whose State must agree with count_state_t.
   A block callback comes before the block runs, so the count is exact as long as every block runs to its end; a run
   that faults has no count. */
#include <stddef.h>
#include <stdint.h>

typedef int (*reg_read_t)(void *engine, int id, void *value);
typedef int (*mem_read_t)(void *engine, uint64_t address, void *bytes, uint64_t size);
typedef int (*stop_t)(void *engine);
typedef uint32_t (*cycles_t)(uint64_t address, uint32_t size);

enum { IDLE = 0, RUNNING = 1, IN_HOOK = 2 };
enum { THUMB = 0, RISCV = 1 };

#define CACHE_SLOTS 65536u /* a power of two */
#define MAX_BLOCK_BYTES 4096u

typedef struct {
    uint64_t address;
    uint32_t size;
    uint32_t instructions;
    uint32_t cycles;
} slot_t;

typedef struct {
    uint64_t instructions;
    uint64_t cycles;
} mark_t;

typedef struct {
    /* set by Python */
    reg_read_t reg_read;
    mem_read_t mem_read;
    stop_t stop;
    cycles_t block_cycles; /* of a block's instructions, called once a block; NULL: no estimate */
    uint64_t run_entry;
    uint64_t hook_entry; /* of NAME_validate_step; ~0 when there is none */
    uint64_t limit;      /* instructions of one inference after which to stop */
    int32_t link_register;
    int32_t encoding;
    uint64_t taken_cycles; /* of a branch that is taken, beside the block's own */
    slot_t *cache;         /* CACHE_SLOTS, zeroed */
    mark_t *log;           /* counts at every hook entry, log_slots of them */
    uint64_t log_slots;
    /* read by Python */
    uint64_t instructions; /* of this inference so far, then of the last one */
    uint64_t cycles;       /* the same in estimated cycles */
    uint64_t log_used;     /* hook calls, which may exceed log_slots */
    uint64_t block_end;    /* of the block that was counted last */
    uint64_t run_return;
    uint64_t hook_return;
    int32_t state;
    int32_t limited;
} count_state_t;

static uint32_t count_instructions(void *engine, const count_state_t *s, uint64_t address, uint32_t size)
{
    uint8_t bytes[MAX_BLOCK_BYTES];
    uint32_t n = 0;
    if (size > sizeof bytes || s->mem_read(engine, address, bytes, size) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < size; n++) {
        if (s->encoding == THUMB) {
            i += (i + 1u < size && (bytes[i + 1u] >> 3) >= 0x1du) ? 4u : 2u;
        } else {
            i += (bytes[i] & 3u) == 3u ? 4u : 2u;
        }
    }
    return n;
}

static uint64_t link_register(void *engine, const count_state_t *s)
{
    uint64_t value = 0;
    (void)s->reg_read(engine, s->link_register, &value);
    return value & 0xfffffffeu;
}

void tinygen_count_block(void *engine, uint64_t address, uint32_t size, void *user);
void tinygen_count_block(void *engine, uint64_t address, uint32_t size, void *user)
{
    count_state_t *s = user;
    if (s->state == RUNNING) {
        if (address == s->run_return) {
            s->state = IDLE;
            return;
        }
        if (address == s->hook_entry) {
            s->state = IN_HOOK;
            s->hook_return = link_register(engine, s);
            if (s->log_used < s->log_slots) {
                s->log[s->log_used] = (mark_t){s->instructions, s->cycles};
            }
            s->log_used++;
            return;
        }
    } else if (s->state == IN_HOOK) {
        if (address != s->hook_return) {
            return;
        }
        s->state = address == s->run_return ? IDLE : RUNNING; /* the run function may end in a jump to the hook */
        if (s->state == IDLE) {
            return;
        }
    } else {
        if (address != s->run_entry) {
            return;
        }
        s->state = RUNNING;
        s->instructions = 0;
        s->cycles = 0;
        s->log_used = 0;
        s->block_end = address;
        s->run_return = link_register(engine, s);
    }
    slot_t *slot = &s->cache[(uint32_t)(address >> 1) & (CACHE_SLOTS - 1u)];
    if (slot->address != address || slot->size != size) {
        slot->address = address;
        slot->size = size;
        slot->instructions = count_instructions(engine, s, address, size);
        slot->cycles = s->block_cycles == NULL ? 0u : s->block_cycles(address, size);
    }
    s->instructions += slot->instructions;
    s->cycles += slot->cycles;
    if (address != s->block_end) {
        s->cycles += s->taken_cycles;
    }
    s->block_end = address + size;
    if (s->instructions > s->limit && s->limited == 0) {
        s->limited = 1;
        (void)s->stop(engine);
    }
}
