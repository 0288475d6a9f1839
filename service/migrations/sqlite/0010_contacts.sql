-- Where a customer is told of a planned visit, and in which language.

ALTER TABLE customers ADD COLUMN contact_email TEXT;
ALTER TABLE customers ADD COLUMN contact_language TEXT NOT NULL DEFAULT 'en'
    CHECK (contact_language IN ('en', 'zh'));
