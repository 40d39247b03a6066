/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A bundle to JSON, led by the descriptors. What is empty is "not said" in proto3 and left out. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"
#include "profile/activation_code.h"
#include "profile/bundle_json.h"
#include "profile/fields.h"
#include "profile/text.h"

#define EXACT_MAX (UINT64_C(1) << 53) /* larger numbers are not exact in JSON */

struct writer {
    struct sh_text text;
    bool reveal;
    unsigned depth;
};

static void new_line(struct writer *w)
{
    sh_text_add(&w->text, "\n");
    for (unsigned i = 0; i < w->depth; i++)
        sh_text_add(&w->text, "  ");
}

/* RFC 8259 section 7. The text is known to be UTF-8 without control characters, but this does not count on it. */
static void write_string(struct writer *w, const char *s)
{
    sh_text_add(&w->text, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            sh_text_addf(&w->text, "\\%c", *s);
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            sh_text_addf(&w->text, "\\u%04x", (unsigned)(unsigned char)*s);
        else
            sh_text_add_n(&w->text, s, 1);
    }
    sh_text_add(&w->text, "\"");
}

static void write_bytes(struct writer *w, struct sh_value value)
{
    struct sh_bytes bytes = sh_value_bytes(value);
    bool base64 =
        sh_field_is(value.schema, value.field, &simhop__profile_instance__descriptor, "icon");
    char *out = malloc(2 * bytes.n + 4);
    if (!out) {
        w->text.failed = true;
        return;
    }
    if (base64)
        EVP_EncodeBlock((unsigned char *)out, bytes.p, (int)bytes.n);
    else
        sh_hex(bytes.p, bytes.n, out);
    write_string(w, out);
    free(out);
}

static void write_number(struct writer *w, uint64_t n)
{
    const char *quote = n > EXACT_MAX ? "\"" : "";
    sh_text_addf(&w->text, "%s%" PRIu64 "%s", quote, n, quote);
}

static void write_enum(struct writer *w, struct sh_value value)
{
    char word[64];
    int number = *(const int *)value.at;
    sh_enum_word(value.field->descriptor, number, word, sizeof(word));
    if (word[0])
        write_string(w, word);
    else
        sh_text_addf(&w->text, "%d", number);
}

static void write_code(struct writer *w, const Simhop__ActivationCode *message)
{
    char *text = NULL;
    enum sh_cause cause = sh_bundle_code_text(message, w->reveal, &text);
    if (cause == SH_OK)
        write_string(w, text);
    else if (cause == SH_ENV_NO_MEMORY)
        w->text.failed = true;
    else
        sh_text_add(&w->text, "null");
    sh_free_secret(text);
}

static void write_message(struct writer *w, const ProtobufCMessage *message);

static void write_value(struct writer *w, struct sh_value value)
{
    switch ((int)value.field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        sh_text_add(&w->text, *(const protobuf_c_boolean *)value.at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(w, value);
        break;
    case PROTOBUF_C_TYPE_STRING:
        if (w->reveal || !sh_field_is_secret(value.schema, value.field))
            write_string(w, sh_value_string(value));
        else
            write_string(w, "(hidden)");
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(w, value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        write_number(w, *(const uint64_t *)value.at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        if (value.field->descriptor == &simhop__activation_code__descriptor)
            write_code(w, (const Simhop__ActivationCode *)sh_value_message(value));
        else
            write_message(w, sh_value_message(value));
        break;
    default:
        write_number(w, *(const uint32_t *)value.at);
        break;
    }
}

static void write_list(struct writer *w, const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, size_t count)
{
    bool tall = field->type == PROTOBUF_C_TYPE_MESSAGE;
    sh_text_add(&w->text, "[");
    w->depth++;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            sh_text_add(&w->text, tall ? "," : ", ");
        if (tall)
            new_line(w);
        write_value(w, sh_value_get(message, field, i));
    }
    w->depth--;
    if (tall)
        new_line(w);
    sh_text_add(&w->text, "]");
}

static bool is_said(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    size_t count = sh_value_count(message, field);
    if (sh_field_is_list(field) || field->type == PROTOBUF_C_TYPE_MESSAGE)
        return count > 0;
    return !sh_value_is_empty(sh_value_get(message, field, 0));
}

static void write_message(struct writer *w, const ProtobufCMessage *message)
{
    bool first = true;
    sh_text_add(&w->text, "{");
    w->depth++;
    for (unsigned f = 0; f < message->descriptor->n_fields; f++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[f];
        if (!is_said(message, field))
            continue;
        if (!first)
            sh_text_add(&w->text, ",");
        first = false;
        new_line(w);
        sh_text_addf(&w->text, "\"%s\": ", field->name);
        if (sh_field_is_list(field))
            write_list(w, message, field, sh_value_count(message, field));
        else
            write_value(w, sh_value_get(message, field, 0));
    }
    w->depth--;
    if (!first)
        new_line(w);
    sh_text_add(&w->text, "}");
}

enum sh_cause sh_bundle_to_json(const Simhop__Bundle *bundle, bool reveal, char **ret_text)
{
    struct writer w = {.reveal = reveal};
    write_message(&w, &bundle->base);
    sh_text_add(&w.text, "\n");
    return sh_text_take(&w.text, ret_text);
}
