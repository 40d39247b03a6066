/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/options.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/safe.h"
#include "proto/text.h"
#include "system/clock.h"

#define COMMON(name, letter, kind, placeholder, help, field)                                       \
    {                                                                                              \
        name, letter, SH_OPTION_##kind, placeholder, help, offsetof(struct sh_common, field)       \
    }

static const struct sh_option common_options[] = {
    COMMON("json", 0, FLAG, NULL, "One JSON object a line on standard output.", json),
    COMMON("state", 0, TEXT, "DIR",
           "Folder of keys and linked devices (root: /var/lib/simhop, else ~/.local/state/simhop).",
           state),
    COMMON("name", 0, TEXT, "NAME", "This device's name as others see it (the host's name).", name),
    COMMON("radio", 0, TEXT, "RADIO",
           "bluez, or sim:DIR: a simulated air whose devices meet in folder DIR.", radio),
    COMMON("adapter", 0, TEXT, "HCI", "Bluetooth adapter, as hci0.", adapter),
    COMMON("wifi", 0, TEXT, "IFACE", "Interface of the LAN and Wi-Fi Direct links, or none.", wifi),
    COMMON("links", 0, TEXT, "LIST",
           "Links that may be used, some of ble,lan,wifi-direct: the fast ones best first; ble "
           "carries bytes until one is up.",
           links),
    COMMON("proximity", 0, TEXT, "HOW",
           "How near share and sync want the other device: strict, normal (the default), or "
           "off-with-consent: measured, but not demanded, if you say yes.",
           proximity),
    COMMON("deadline", 0, NUMBER, "S", "End after so many seconds at the latest.", deadline_s),
    COMMON("verbose", 'v', FLAG, NULL, "Tell on standard error what happens, with seconds.",
           verbose),
    COMMON("help", 'h', FLAG, NULL, "This text.", help),
    {0},
};

static void *field(void *values, const struct sh_option *option)
{
    return (char *)values + option->offset;
}

/* ---- Values ---- */

/* One that is closed would become one of the program's own, and be waited on: it becomes one that is at its end. */
static void hold_descriptor(int number)
{
    if (fcntl(number, F_GETFD) >= 0)
        return;
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || nothing == number)
        return;
    (void)dup3(nothing, number,
               O_CLOEXEC); /* fails beyond what may be open: none of ours becomes that */
    close(nothing);
}

static enum sh_cause set_number(const struct sh_option *option, const char *text, void *values)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || number > INT32_MAX)
        return sh_fail(SH_USAGE_BAD_OPTION, "--%s %s: a whole number from 0 to %d is wanted",
                       option->name, text, INT32_MAX);
    *(int64_t *)field(values, option) = number;
    return SH_OK;
}

static enum sh_cause add_to_list(const struct sh_option *option, const char *text, void *values)
{
    struct sh_list *list = field(values, option);
    if (list->count == SH_LIST_MAX)
        return sh_fail(SH_USAGE_BAD_OPTION, "--%s: given more than %d times", option->name,
                       SH_LIST_MAX);
    if (!list->values)
        list->values = calloc(SH_LIST_MAX, sizeof(*list->values));
    if (!list->values)
        return SH_ENV_NO_MEMORY;
    list->values[list->count++] = text;
    return SH_OK;
}

static enum sh_cause set(const struct sh_option *option, const char *text, void *values)
{
    switch (option->kind) {
    case SH_OPTION_FLAG:
        *(bool *)field(values, option) = true;
        return SH_OK;
    case SH_OPTION_TEXT:
        *(const char **)field(values, option) = text;
        return SH_OK;
    case SH_OPTION_LIST:
        return add_to_list(option, text, values);
    case SH_OPTION_NUMBER:
        return set_number(option, text, values);
    case SH_OPTION_DESCRIPTOR:
        SH_TRY(set_number(option, text, values));
        hold_descriptor((int)*(int64_t *)field(values, option));
        return SH_OK;
    }
    return SH_INTERNAL_BUG;
}

/* ---- Rows ---- */

/* The row with this name (n octets), or with this letter if name is NULL. The verb's own come first. */
static const struct sh_option *find(const struct sh_option *options, const char *name, size_t n,
                                    char letter)
{
    const struct sh_option *const tables[] = {options, common_options};
    for (size_t t = 0; t < SH_COUNT(tables); t++) {
        for (const struct sh_option *o = tables[t]; o && o->name; o++) {
            if (name ? strlen(o->name) == n && memcmp(o->name, name, n) == 0
                     : o->letter && o->letter == letter)
                return o;
        }
    }
    return NULL;
}

static void prepare(const struct sh_option *options, void *values)
{
    const struct sh_option *const tables[] = {options, common_options};
    for (size_t t = 0; t < SH_COUNT(tables); t++) {
        for (const struct sh_option *o = tables[t]; o && o->name; o++) {
            if (o->kind == SH_OPTION_NUMBER || o->kind == SH_OPTION_DESCRIPTOR)
                *(int64_t *)field(values, o) = -1;
        }
    }
}

/* One word that starts with '-', and the next one if it is this option's value. */
static enum sh_cause take(const struct sh_option *options, int argc, char **argv, int *index,
                          void *values)
{
    const char *word = argv[*index];
    bool is_long = word[1] == '-';
    const char *value = is_long ? strchr(word, '=') : (word[2] ? word + 2 : NULL);
    size_t n = is_long ? (value ? (size_t)(value - word) : strlen(word)) - 2 : 0;
    const struct sh_option *option = find(options, is_long ? word + 2 : NULL, n, word[1]);
    if (!option)
        return sh_fail(SH_USAGE_BAD_OPTION, "%s: there is no such option", word);
    if (is_long && value)
        value++; /* behind the '=' */
    if (option->kind == SH_OPTION_FLAG) {
        if (value)
            return sh_fail(SH_USAGE_BAD_OPTION, "%s: this option takes no value", word);
    } else if (!value) {
        if (*index + 1 >= argc)
            return sh_fail(SH_USAGE_BAD_OPTION, "%s: the value is missing (%s)", word,
                           option->placeholder);
        value = argv[++*index];
    }
    return set(option, value, values);
}

/* ---- What the common options mean ---- */

static enum sh_cause check_links(const char *links)
{
    static const char *const kinds[] = {"ble", "lan", "wifi-direct"};
    unsigned seen = 0;
    for (const char *p = links;;) {
        size_t n = strcspn(p, ",");
        size_t kind = 0;
        while (kind < SH_COUNT(kinds) &&
               (strlen(kinds[kind]) != n || memcmp(kinds[kind], p, n) != 0))
            kind++;
        if (kind == SH_COUNT(kinds) || (seen & 1U << kind))
            return sh_fail(SH_USAGE_BAD_OPTION,
                           "--links %s: some of ble,lan,wifi-direct are wanted, each once", links);
        seen |= 1U << kind;
        if (!p[n])
            return SH_OK;
        p += n + 1;
    }
}

static enum sh_cause default_state(struct sh_common *common)
{
    const char *base = getenv("XDG_STATE_HOME");
    const char *below = "";
    if (geteuid() == 0) {
        common->state = "/var/lib/simhop";
        return SH_OK;
    }
    if (!base || base[0] != '/') { /* a relative one is to be ignored, says the XDG specification */
        /* cppcheck-suppress getpwuidCalled; there is one thread */
        const struct passwd *user = getpwuid(geteuid());
        base = getenv("HOME");
        if ((!base || base[0] != '/') && user)
            base = user->pw_dir;
        below = "/.local/state";
    }
    if (!base || base[0] != '/')
        return sh_fail(SH_USAGE_BAD_OPTION, "--state: there is no home folder to take instead");
    size_t size = sizeof(common->state_buffer);
    int n = snprintf(common->state_buffer, size, "%s%s/simhop", base, below);
    if (n < 0 || (size_t)n >= size)
        return sh_fail(SH_USAGE_BAD_OPTION, "--state: the path of the home folder is too long");
    common->state = common->state_buffer;
    return SH_OK;
}

static void default_name(struct sh_common *common)
{
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) != 0 || !host[0] || !sh_text_is_clean(host, SIZE_MAX))
        snprintf(host, sizeof(host), "simhop");
    (void)sh_safe_copy(common->name_buffer, sizeof(common->name_buffer), host, UINT32_MAX);
    common->name = common->name_buffer;
}

static enum sh_cause check_common(struct sh_common *common)
{
    if (common->state && (!*common->state || strlen(common->state) >= sizeof(common->state_buffer)))
        return sh_fail(SH_USAGE_BAD_OPTION, "--state: the path is empty or too long");
    if (common->name &&
        (!*common->name || strlen(common->name) > 64 || !sh_text_is_clean(common->name, SIZE_MAX)))
        return sh_fail(SH_USAGE_BAD_OPTION,
                       "--name: 1 to 64 octets of UTF-8 without control characters are wanted");
    if (common->radio && strcmp(common->radio, "bluez") != 0 &&
        (strncmp(common->radio, "sim:", 4) != 0 || !common->radio[4]))
        return sh_fail(SH_USAGE_BAD_OPTION, "--radio %s: bluez or sim:DIR is wanted",
                       common->radio);
    if (common->links)
        SH_TRY(check_links(common->links));
    if (!common->state)
        SH_TRY(default_state(common));
    if (!common->name)
        default_name(common);
    return SH_OK;
}

enum sh_cause sh_options_parse(const struct sh_option *options, int argc, char **argv, void *values,
                               int *ret_count)
{
    int count = 0;
    bool ended = false;
    prepare(options, values);
    ((struct sh_common *)values)->started = sh_now() - sh_asleep();
    for (int i = 1; i < argc; i++) {
        if (!ended && strcmp(argv[i], "--") == 0)
            ended = true;
        else if (!ended && argv[i][0] == '-' && argv[i][1])
            SH_TRY(take(options, argc, argv, &i, values));
        else
            argv[++count] = argv[i];
    }
    SH_TRY(check_common(values));
    *ret_count = count;
    return SH_OK;
}

sh_ms sh_options_left(const struct sh_common *common)
{
    if (common->deadline_s < 0)
        return SH_NEVER;
    sh_ms now = sh_now() - sh_asleep(), end = common->started + (sh_ms)common->deadline_s * 1000;
    return end > now ? end - now : 0;
}

void sh_options_clear(const struct sh_option *options, void *values)
{
    for (const struct sh_option *o = options; o && o->name; o++) {
        if (o->kind == SH_OPTION_LIST) {
            struct sh_list *list = field(values, o);
            free(list->values);
            *list = (struct sh_list){0};
        }
    }
}

/* ---- Help ---- */

#define HELP_INDENT 24
#define HELP_WIDTH  80

/* Words of text from column `column` on, wrapped; ends the line. */
static void print_wrapped(const char *text, size_t column)
{
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > HELP_INDENT && column + 1 + n > HELP_WIDTH) {
            printf("\n%*s", HELP_INDENT, "");
            column = HELP_INDENT;
        } else if (column > HELP_INDENT) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)n, text);
        column += n;
        text += n;
        text += *text == ' ';
    }
    putchar('\n');
}

static void print_option(const struct sh_option *option)
{
    char head[64];
    char letter[] = {'-', option->letter, ',', ' ', '\0'};
    int n =
        snprintf(head, sizeof(head), "  %s--%s%s%s", option->letter ? letter : "    ", option->name,
                 option->placeholder ? " " : "", option->placeholder ? option->placeholder : "");
    if (n >= HELP_INDENT)
        printf("%s\n%*s", head, HELP_INDENT, "");
    else
        printf("%-*s", HELP_INDENT, head);
    print_wrapped(option->help, HELP_INDENT);
}

void sh_options_help(const struct sh_option *options)
{
    if (options && options->name)
        printf("\nOptions:\n");
    for (const struct sh_option *o = options; o && o->name; o++)
        print_option(o);
    printf("\nCommon options:\n");
    for (const struct sh_option *o = common_options; o->name; o++)
        print_option(o);
}
