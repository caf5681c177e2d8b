package wire

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ephemeral-ci/jfrog-token/internal/secret"
)

// Error is why a request has no usable response. Its text holds no body, no
// header, no query and no secret; Code and Message are the other side's
// words, cut, and still have to be sanitized before they are printed.
type Error struct {
	Method, Host, Path string
	Status             int           // 0: there was no response
	Code, Message      string        // from a JSON error body, or a short plain text
	JSON               bool          // the refusal was in one of the known JSON forms
	HTML               bool          // the response was a page
	Location           string        // host of a redirect
	RetryAfter         time.Duration // below zero: not given
	Again              bool          // another try is worth it whatever the status
	Sent               bool          // the request may have reached the other side
	Err                error         // why there is no usable response
}

// ErrNotJSON says that a whole response with a good status could not be decoded.
var ErrNotJSON = errors.New("response is not the expected JSON")

var (
	errAttemptLimit = errors.New("no response in time")
	errNotHTTP      = errors.New("malformed HTTP response")
	errCut          = errors.New("connection closed before the whole response arrived")
)

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s: ", e.Method, e.Host, e.Path)
	switch {
	case e.Status == 0:
		fmt.Fprintf(&b, "%v", e.Err)
		return b.String()
	case e.Location != "":
		fmt.Fprintf(&b, "HTTP %d, a redirect to %s", e.Status, e.Location)
	default:
		fmt.Fprintf(&b, "HTTP %d", e.Status)
	}
	switch {
	case e.HTML:
		b.WriteString(", got an HTML page instead of JSON")
	case e.Err != nil:
		fmt.Fprintf(&b, ", %v", e.Err)
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Reason is the error in the few words of a retry line.
func (e *Error) Reason() string {
	if e.Status != 0 && e.Err == nil {
		return fmt.Sprintf("HTTP %d", e.Status)
	}
	return fmt.Sprint(e.Err)
}

// ProxyError is a proxy's refusal to connect.
type ProxyError struct{ Status int }

func (e *ProxyError) Error() string { return fmt.Sprintf("proxy responded HTTP %d", e.Status) }

// Retryable reports whether the same request may do better later: the
// statuses 408, 425, 429, 500, 502, 503, 504, and connections that were
// refused, broken or silent. Never certificates, host names that do not
// exist, redirects, or responses that are whole but unusable.
func (e *Error) Retryable() bool {
	var proxy *ProxyError
	if errors.As(e.Err, &proxy) {
		return retryableStatus(proxy.Status)
	}
	if e.Err == nil {
		return e.Again || retryableStatus(e.Status)
	}
	if IsCertificate(e.Err) || IsUnresolved(e.Err) || errors.Is(e.Err, ErrNotJSON) || errors.Is(e.Err, errTooLarge) || errors.Is(e.Err, errNotLoopback) {
		return false
	}
	if IsPlain(e.Err) || IsAlert(e.Err) || errors.Is(e.Err, errNotHTTP) {
		return false
	}
	var network net.Error
	return errors.As(e.Err, &network) || errors.Is(e.Err, errAttemptLimit) || errors.Is(e.Err, errCut) || errors.Is(e.Err, net.ErrClosed)
}

// IsAlert reports whether one side of TLS ended the handshake on purpose: no
// version in common, or a client certificate is asked for.
func IsAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

func retryableStatus(s int) bool {
	switch s {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// IsCertificate reports whether the peer's certificate was refused.
func IsCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// IsPlain reports whether the peer does not speak TLS at all.
func IsPlain(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// IsUnresolved reports whether a host name does not exist. A resolver that
// did not respond is something else, and is asked again.
func IsUnresolved(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound && !dns.IsTemporary
}

// IsProxy reports whether the proxy, not the peer, was the trouble.
func IsProxy(err error) bool {
	if errors.Is(err, errProxyURL) {
		return true
	}
	var op *net.OpError
	var proxy *ProxyError
	return errors.As(err, &proxy) || errors.As(err, &op) && op.Op == "proxyconnect"
}

// Broken sets e to an attempt that ended without a whole response. It keeps the
// cause without the URL that the HTTP client quotes
// (https://nvd.nist.gov/vuln/detail/CVE-2024-6104), and names the limit that
// ended the attempt.
func (e *Error) Broken(ctx context.Context, err error) {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = errAttemptLimit
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = errCut
	case !known(err):
		err = errNotHTTP
	}
	e.Err = err
}

// known reports whether the text of an error is written here or by the
// machine. net/http quotes what it cannot read of a response, uncut, and it may
// hold a token.
func known(err error) bool {
	var network net.Error
	var proxy *ProxyError
	return errors.As(err, &network) || IsPlain(err) || errors.As(err, &proxy) || IsCertificate(err) ||
		errors.Is(err, errTooLarge) || errors.Is(err, errProxyURL) || errors.Is(err, errNotLoopback) || errors.Is(err, net.ErrClosed)
}

// maxMessage bounds what is kept of the other side's words, in bytes.
const maxMessage = 256

// notJSON sets e to a whole response that could not be decoded. The decoder's own
// error quotes its input, which may hold a token.
func (e *Error) notJSON(html bool) { e.HTML, e.Err = html, ErrNotJSON }

// Refusal sets e to a response of another status than success, with what may
// be shown of it.
func (e *Error) Refusal(status int, header http.Header, body []byte, secrets ...secret.String) {
	e.Status = status
	now := time.Now()
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date // by the clock that Retry-After is by, if it is a date
	}
	e.RetryAfter = ParseRetryAfter(header.Get("Retry-After"), now)
	if status >= 300 && status <= 399 {
		e.Location = "another path"
		if u, err := url.Parse(header.Get("Location")); err == nil && u.Host != "" {
			e.Location = cut(u.Scheme+"://"+u.Host, secrets)
		}
		return
	}
	if e.HTML = looksLikeHTML(body); e.HTML {
		return
	}
	e.Code, e.Message, e.JSON = DecodeError(body, secrets...)
}

// DecodeError reads the error bodies that JFrog's services are known to send,
// and those of CIs: {"errors":[{code, message, detail}]}, the flat
// form of that, OAuth's {error, error_description}, {"error": text} and
// {"message": text}, which make known true; a plain text is taken as the
// message. Both values come without the secrets, and cut.
func DecodeError(body []byte, secrets ...secret.String) (code, message string, known bool) {
	type entry struct {
		Code, Message, Detail any
		Error                 any
		ErrorDescription      any `json:"error_description"`
	}
	var response struct {
		entry
		Errors []entry
	}
	if json.Unmarshal(body, &response) != nil {
		if !utf8.Valid(body) || bytes.ContainsAny(body, "{[<") {
			return "", "", false // a broken or foreign format: nothing a reader could use
		}
		return "", cut(string(bytes.TrimSpace(body)), secrets), false
	}
	e := response.entry
	if len(response.Errors) > 0 {
		e = response.Errors[0]
	}
	code = cmp.Or(text(e.Code), text(e.Error))
	message = cmp.Or(text(e.Message), text(e.ErrorDescription))
	if detail := text(e.Detail); detail != "" && detail != message {
		message = strings.TrimSuffix(message, ".") + " (" + detail + ")"
	}
	if message == "" {
		code, message = "", code
	}
	return cut(code, secrets), cut(message, secrets), message != ""
}

// text returns a JSON string; every other type counts as absent.
func text(v any) string {
	s, _ := v.(string)
	return strings.TrimSpace(s)
}

func cut(s string, secrets []secret.String) string {
	s = strings.ToValidUTF8(secret.Scrub(s, secrets...), "\uFFFD")
	if len(s) <= maxMessage {
		return s
	}
	end := maxMessage
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

func looksLikeHTML(body []byte) bool {
	b := bytes.ToLower(bytes.TrimLeft(body[:min(len(body), 512)], "\ufeff \t\r\n"))
	return bytes.HasPrefix(b, []byte("<!doctype html")) || bytes.HasPrefix(b, []byte("<html")) ||
		bytes.HasPrefix(b, []byte("<")) && bytes.Contains(b, []byte("<head"))
}
