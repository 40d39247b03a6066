/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said while the thread that else speaks is kept by the disk: with nothing of what it writes through. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output_form.h"

#define LINE_MAX_OCTETS 1024

/* To a reader that takes it now; in pieces it could end up between others' lines. */
static void put(int fd, const char *line)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    /* waits: not at all */
    if (poll(&ready, 1, 0) <= 0)
        return;
    ssize_t n = write(fd, line, strlen(line));
    (void)n; /* nobody is left to be told */
}

static void put_event(cJSON *event)
{
    char line[LINE_MAX_OCTETS];
    if (event && cJSON_PrintPreallocated(event, line, (int)sizeof(line) - 2, false)) {
        memcpy(line + strlen(line), "\n", 2);
        put(STDOUT_FILENO, line);
    }
    cJSON_Delete(event);
}

void sh_output_kept(const struct sh_output *out)
{
    if (!out->to.json) {
        char line[LINE_MAX_OCTETS];
        (void)snprintf(line, sizeof(line), "%s%s\n", out->to.terminal ? "\n" : "",
                       SH_OUTPUT_DISK_WAITS);
        put(STDERR_FILENO, line);
        return;
    }
    cJSON *event = sh_json_event(out, "note");
    sh_json_text(event, "text", SH_OUTPUT_DISK_WAITS);
    sh_json_text(event, "cause", sh_cause_info(SH_STORE_SLOW)->name);
    put_event(event);
}

void sh_output_kept_end(const struct sh_output *out, const char *detail)
{
    const struct sh_cause_info *info = sh_cause_info(SH_STORE_SLOW);
    char line[LINE_MAX_OCTETS];
    (void)snprintf(line, sizeof(line), "%ssimhop: %s (%s)\n  %s\n  Next: %s\n",
                   out->to.terminal ? "\n" : "", info->message, info->name, detail, info->next);
    put(STDERR_FILENO, line);
    if (out->to.json) {
        cJSON *event = sh_json_event(out, "cause");
        sh_json_cause(event, info, detail);
        put_event(event);
    }
    _exit((int)info->category);
}
