/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "system/rfkill_table.h"

#include <fcntl.h>
#include <linux/rfkill.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool sh_rfkill_event_read(struct sh_bytes bytes, struct sh_rfkill_event *ret_event)
{
    struct rfkill_event raw;
    _Static_assert(sizeof(raw) == SH_RFKILL_EVENT, "the kernel's contract");
    if (bytes.n < sizeof(raw))
        return false;
    memcpy(&raw, bytes.p, sizeof(raw));
    if (raw.op != RFKILL_OP_ADD && raw.op != RFKILL_OP_DEL && raw.op != RFKILL_OP_CHANGE)
        return false;
    *ret_event = (struct sh_rfkill_event){
        .index = raw.idx,
        .type = raw.type == RFKILL_TYPE_WLAN        ? SH_RFKILL_WIFI
                : raw.type == RFKILL_TYPE_BLUETOOTH ? SH_RFKILL_BLUETOOTH
                                                    : SH_RFKILL_TYPES,
        .op = raw.op == RFKILL_OP_ADD   ? SH_RFKILL_ADD
              : raw.op == RFKILL_OP_DEL ? SH_RFKILL_DEL
                                        : SH_RFKILL_CHANGE,
        .soft = raw.soft != 0,
        .hard = raw.hard != 0,
    };
    return true;
}

bool sh_rfkill_table_apply(struct sh_rfkill_table *table, const struct sh_rfkill_event *event)
{
    size_t i = 0;
    while (i < table->count && table->at[i].index != event->index)
        i++;
    if (event->op == SH_RFKILL_DEL) {
        if (i == table->count)
            return false;
        table->at[i] = table->at[--table->count];
        return true;
    }
    if (event->type == SH_RFKILL_TYPES || i == SH_RFKILL_SWITCHES)
        return false;
    bool is_new = i == table->count;
    bool same = !is_new && table->at[i].type == event->type && table->at[i].soft == event->soft &&
                table->at[i].hard == event->hard;
    table->at[i] = *event;
    table->count += is_new;
    return !same;
}

void sh_rfkill_name_add(char list[SH_RFKILL_NAME], struct sh_bytes name)
{
    size_t at = strlen(list);
    if (at > 0)
        at += (size_t)snprintf(list + at, SH_RFKILL_NAME - at, ", ");
    for (size_t i = 0; i < name.n && name.p[i] != '\n' && at < SH_RFKILL_NAME - 1; i++)
        list[at++] = name.p[i] > ' ' && name.p[i] < 0x7f ? (char)name.p[i] : '?';
    list[SH_MIN(at, SH_RFKILL_NAME - 1)] = '\0';
}

static void add_name_of(char list[SH_RFKILL_NAME], const char *folder, uint32_t index)
{
    char path[256], name[SH_RFKILL_NAME];
    sh_autoclose int fd = -1;
    int n = snprintf(path, sizeof(path), "%s/rfkill%u/name", folder, index);
    if (n > 0 && (size_t)n < sizeof(path))
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd >= 0 ? read(fd, name, sizeof(name)) : -1;
    if (got <= 0 || name[0] == '\n') /* gone again, or a kernel without sysfs */
        got = snprintf(name, sizeof(name), "rfkill%u", index);
    sh_rfkill_name_add(list, SH_BYTES(name, got));
}

void sh_rfkill_table_sum(const struct sh_rfkill_table *table, const char *folder,
                         struct sh_rfkill ret_states[SH_RFKILL_TYPES])
{
    memset(ret_states, 0, SH_RFKILL_TYPES * sizeof(*ret_states));
    for (size_t i = 0; i < table->count; i++) {
        const struct sh_rfkill_event *each = &table->at[i];
        struct sh_rfkill *state = &ret_states[each->type];
        state->switches++;
        state->soft += each->soft;
        state->hard += each->hard;
        if (!each->soft && !each->hard)
            continue;
        state->shut++;
        add_name_of(state->blocked, folder, each->index);
    }
}
