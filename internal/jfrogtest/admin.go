package jfrogtest

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"time"
)

// providers lists the OIDC integrations: https://jfrog.com/help/r/jfrog-rest-apis/get-oidc-configuration
func (p *Platform) providers(c *call) answer {
	if !p.isAdmin(c.token) {
		return p.forbidden()
	}
	list := []any{}
	for _, provider := range p.cfg.Providers {
		list = append(list, p.providerObject(provider))
	}
	return jsonAnswer(200, list)
}

func (p *Platform) provider(c *call) answer {
	return p.withProvider(c, func(provider Provider) any { return p.providerObject(provider) })
}

func (p *Platform) mappings(c *call) answer {
	return p.withProvider(c, func(provider Provider) any { return append([]Mapping{}, provider.Mappings...) })
}

func (p *Platform) withProvider(c *call, object func(Provider) any) answer {
	i := p.findProvider(c.PathValue("provider"))
	switch {
	case !p.isAdmin(c.token):
		return p.forbidden()
	case i < 0:
		return p.refuse(404, "NOT_FOUND", "oidc integration doesn't exist", "")
	}
	return jsonAnswer(200, object(p.cfg.Providers[i]))
}

func (p *Platform) providerObject(provider Provider) map[string]string {
	return map[string]string{
		"name": provider.Name, "issuer_url": p.issuerURL(provider), "provider_type": "GitHub", "audience": provider.Audience,
		"organization": provider.Organization,
	}
}

// rootCertificate is what clients verify tokens with. It holds the key that signs them.
func (p *Platform) rootCertificate(*call) answer {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "JFrog Token Issuer " + p.serviceID},
		NotBefore: p.now().Add(-time.Hour), NotAfter: p.now().AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &platformKey().PublicKey, platformKey())
	check(err)
	return textAnswer(200, base64.StdEncoding.EncodeToString(der))
}

// https://jfrog.com/help/r/jfrog-rest-apis/get-token-default-expiry-value
func (p *Platform) defaultExpiry(c *call) answer {
	if !p.isAdmin(c.token) {
		return p.forbidden()
	}
	return jsonAnswer(200, map[string]int{"default_token_expiration": p.cfg.DefaultExpiry})
}

func (p *Platform) projects(*call) answer { return jsonAnswer(200, []string{}) }
